//! How processes of one inbox find each other.

use sha2::{Digest, Sha256};

use crate::owner::Owner;
use crate::sql::TableName;

/// The bytes of its name: databases cut longer ones off.
const NAME_BYTES: usize = 32;

/// Where processes of one inbox tell each other of new deliveries.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "only PostgreSQL tells other processes"))]
pub struct Channel {
    /// The same for all of them.
    pub(super) name: String,
    /// This process, so that it does not wake itself a second time.
    pub(super) own: String,
}

impl Channel {
    pub(super) fn new(table: &TableName, sender: &str) -> Self {
        let name = hex::encode(Sha256::digest(format!("{}:{sender}", table.quoted())));
        let own = Owner::random().map(|own| hex::encode(own.as_bytes())).unwrap_or_default();
        Self { name: format!("ferro_idem_{}", name.get(..NAME_BYTES).unwrap_or_default()), own }
    }
}
