//! Small platform devices: power control, host interfaces.
