//! Values onto a length, by their logarithms.

pub(super) struct Scale {
    first: f64,
    last: f64,
    start: f64,
    length: f64,
}

impl Scale {
    pub(super) fn of(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let (first, last) = values
            .map(f64::log10)
            .fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(value), most.max(value)));
        Self { first, last, start, length }
    }

    /// From a whole power of ten to another.
    pub(super) fn in_decades(self) -> Self {
        let first = self.first.floor();
        Self { first, last: self.last.ceil().max(first + 1.0), ..self }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        self.start + (value.log10() - self.first) / (self.last - self.first) * self.length
    }

    /// What stands at this place.
    pub(super) fn value(&self, at: f64) -> f64 {
        10_f64.powf(self.first + (at - self.start) / self.length * (self.last - self.first))
    }

    pub(super) fn decades(&self) -> impl Iterator<Item = f64> {
        let (first, last) = (self.first, self.last);
        std::iter::successors(Some(first), |power| Some(power + 1.0))
            .take_while(move |power| *power <= last)
            .map(|power| 10_f64.powf(power))
    }
}
