//! The firmware configuration interface (`fw_cfg`).
