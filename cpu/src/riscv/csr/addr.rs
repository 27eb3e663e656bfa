//! CSR addresses (Privileged, tables of allocated CSR addresses).

/// Floating-point accrued exceptions.
pub const FFLAGS: u16 = 0x001;
/// Floating-point rounding mode.
pub const FRM: u16 = 0x002;
/// Floating-point control and status.
pub const FCSR: u16 = 0x003;
/// Cycle counter.
pub const CYCLE: u16 = 0xc00;
/// Timer.
pub const TIME: u16 = 0xc01;
/// Instructions retired.
pub const INSTRET: u16 = 0xc02;
/// First performance counter.
pub const HPMCOUNTER3: u16 = 0xc03;
/// Last performance counter.
pub const HPMCOUNTER31: u16 = 0xc1f;
/// Supervisor status.
pub const SSTATUS: u16 = 0x100;
/// Supervisor interrupt enable.
pub const SIE: u16 = 0x104;
/// Supervisor trap vector.
pub const STVEC: u16 = 0x105;
/// Supervisor counter enable.
pub const SCOUNTEREN: u16 = 0x106;
/// Supervisor environment configuration.
pub const SENVCFG: u16 = 0x10a;
/// Supervisor state enable 0.
pub const SSTATEEN0: u16 = 0x10c;
/// Supervisor state enable 3.
pub const SSTATEEN3: u16 = 0x10f;
/// Supervisor scratch.
pub const SSCRATCH: u16 = 0x140;
/// Supervisor exception program counter.
pub const SEPC: u16 = 0x141;
/// Supervisor cause.
pub const SCAUSE: u16 = 0x142;
/// Supervisor trap value.
pub const STVAL: u16 = 0x143;
/// Supervisor interrupt pending.
pub const SIP: u16 = 0x144;
/// Supervisor timer compare (Sstc).
pub const STIMECMP: u16 = 0x14d;
/// Supervisor address translation and protection.
pub const SATP: u16 = 0x180;
/// Supervisor counter overflow (Sscofpmf).
pub const SCOUNTOVF: u16 = 0xda0;
/// Vendor.
pub const MVENDORID: u16 = 0xf11;
/// Architecture.
pub const MARCHID: u16 = 0xf12;
/// Implementation.
pub const MIMPID: u16 = 0xf13;
/// Hart id.
pub const MHARTID: u16 = 0xf14;
/// Configuration structure pointer.
pub const MCONFIGPTR: u16 = 0xf15;
/// Machine status.
pub const MSTATUS: u16 = 0x300;
/// ISA and extensions.
pub const MISA: u16 = 0x301;
/// Machine exception delegation.
pub const MEDELEG: u16 = 0x302;
/// Machine interrupt delegation.
pub const MIDELEG: u16 = 0x303;
/// Machine interrupt enable.
pub const MIE: u16 = 0x304;
/// Machine trap vector.
pub const MTVEC: u16 = 0x305;
/// Machine counter enable.
pub const MCOUNTEREN: u16 = 0x306;
/// Machine environment configuration.
pub const MENVCFG: u16 = 0x30a;
/// Machine state enable 0.
pub const MSTATEEN0: u16 = 0x30c;
/// Machine state enable 3.
pub const MSTATEEN3: u16 = 0x30f;
/// Machine counter inhibit.
pub const MCOUNTINHIBIT: u16 = 0x320;
/// First performance event selector.
pub const MHPMEVENT3: u16 = 0x323;
/// Last performance event selector.
pub const MHPMEVENT31: u16 = 0x33f;
/// Machine scratch.
pub const MSCRATCH: u16 = 0x340;
/// Machine exception program counter.
pub const MEPC: u16 = 0x341;
/// Machine cause.
pub const MCAUSE: u16 = 0x342;
/// Machine trap value.
pub const MTVAL: u16 = 0x343;
/// Machine interrupt pending.
pub const MIP: u16 = 0x344;
/// First PMP configuration.
pub const PMPCFG0: u16 = 0x3a0;
/// Last PMP configuration.
pub const PMPCFG15: u16 = 0x3af;
/// First PMP address.
pub const PMPADDR0: u16 = 0x3b0;
/// Last PMP address.
pub const PMPADDR63: u16 = 0x3ef;
/// Machine cycle counter.
pub const MCYCLE: u16 = 0xb00;
/// Machine instructions retired.
pub const MINSTRET: u16 = 0xb02;
/// First machine performance counter.
pub const MHPMCOUNTER3: u16 = 0xb03;
/// Last machine performance counter.
pub const MHPMCOUNTER31: u16 = 0xb1f;
