//! Small platform devices: power control, host interfaces.

pub mod htif;
pub mod syscon;

pub use htif::Htif;
pub use syscon::TestFinisher;
