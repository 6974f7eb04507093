//! An application of edition 2021 that calls the crate `idem`; its tests are rows 22 and 23.
