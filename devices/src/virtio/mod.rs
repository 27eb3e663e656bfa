//! Virtio devices (Virtual I/O Device specification 1.3) and their MMIO transport.
