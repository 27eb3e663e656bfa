//! Code made once per code buffer: the way in, the ways out, the calls of runtime functions, constants.

use super::link::JitConfig;
use super::t1::frame;
use super::x64::{Asm, AsmError, Cond, Gpr, Mem, Scale, Width};
use crate::regs::{BASE_SLOT, Context};
use crate::sem::Slot;
use std::mem::offset_of;

/// Host registers of the pinned slots, in the order of `Guest::PINNED`.
pub(super) const PINNED: [Gpr; 10] = {
    use Gpr::*;
    [Rbx, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13]
};

/// Those of [`PINNED`] that a runtime function may change (System V ABI).
const CALLER_SAVED: [usize; 6] = [2, 3, 4, 5, 6, 7];

/// Sticky flags of MXCSR that a guest can see: all but "denormal operand".
pub(super) const STICKY: i32 = 0x3d;

/// Rounding control of MXCSR.
const ROUNDING: i32 = 0x6000;

/// Values of `rdx` on return from compiled code.
pub(super) mod kind {
    pub const LINK: u64 = 0;
    pub const LOOKUP: u64 = 1;
    pub const REQUEST: u64 = 2;
    pub const FUEL: u64 = 3;
    pub const RESYNC: u64 = 4;
    pub const STOPPED: u64 = 5;
}

/// The memory operand of a byte offset in the [`Context`].
pub(super) const fn ctx_mem(offset: usize) -> Mem {
    Mem::new(Gpr::R15, offset as i32 - (BASE_SLOT * 8) as i32)
}

/// The memory operand of a slot.
pub(super) const fn slot_mem(slot: Slot) -> Mem {
    ctx_mem(slot.0 as usize * 8)
}

/// Constants, as offsets in the code buffer. All are 16-byte aligned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Consts {
    /// Canonical NaN, double and single.
    pub nan64: u32,
    pub nan32: u32,
    /// 2^63 and 2^32, double and single.
    pub two63: [u32; 2],
    pub two32: [u32; 2],
}

/// Offsets of the generated pieces in the code buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Thunks {
    pub enter: u32,
    pub load: u32,
    pub store: u32,
    pub rmw: u32,
    pub cas: u32,
    pub load_reserved: u32,
    pub store_conditional: u32,
    pub call: u32,
    pub call_pure: u32,
    pub fp: u32,
    pub raise: u32,
    pub sync: u32,
    pub exit_link: u32,
    pub exit_lookup: u32,
    pub exit_request: u32,
    pub exit_fuel: u32,
    pub exit_resync: u32,
    pub consts: Consts,
}

/// What happens to MXCSR around a runtime function.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mxcsr {
    /// The function computes with integers.
    Untouched,
    /// Its sticky flags are kept from Rust code.
    Kept,
    /// They are moved to the flag slot before.
    Synced,
}

/// Scratch words above the return address of a thunk.
const THUNK_RET: i32 = 8;

struct Gen<'a> {
    a: Asm,
    cfg: &'a JitConfig,
    flag_table: u64,
    default_mxcsr: u64,
    leave: u64,
}

/// Generates everything; the code is to be placed at offset `origin`.
pub(super) fn generate(cfg: &JitConfig, origin: u32) -> Result<(Vec<u8>, Thunks), AsmError> {
    let mut a = Asm::new(16 << 10);
    a.reset(u64::from(origin));
    let mut g = Gen {
        a,
        cfg,
        flag_table: 0,
        default_mxcsr: 0,
        leave: 0,
    };
    let mut t = Thunks {
        consts: g.consts(),
        ..Thunks::default()
    };
    t.enter = g.enter();
    g.leave = g.leave();
    for (at, k) in [
        (&mut t.exit_link, kind::LINK),
        (&mut t.exit_lookup, kind::LOOKUP),
        (&mut t.exit_request, kind::REQUEST),
        (&mut t.exit_fuel, kind::FUEL),
        (&mut t.exit_resync, kind::RESYNC),
    ] {
        *at = g.exit(k);
    }
    let f = &cfg.fns;
    t.load = g.call(f.load, 2, Mxcsr::Kept, false);
    t.store = g.call(f.store, 3, Mxcsr::Kept, false);
    t.rmw = g.call(f.rmw, 3, Mxcsr::Kept, false);
    t.cas = g.call(f.cas, 4, Mxcsr::Kept, false);
    t.load_reserved = g.call(f.load_reserved, 2, Mxcsr::Kept, false);
    t.store_conditional = g.call(f.store_conditional, 3, Mxcsr::Kept, false);
    t.call = g.call(f.call, 5, Mxcsr::Synced, true);
    t.call_pure = g.call_pure(f.call, 5, Mxcsr::Kept);
    t.fp = g.call_pure(f.fp, 4, Mxcsr::Untouched);
    t.raise = g.call(f.raise, 2, Mxcsr::Kept, false);
    t.sync = g.sync();
    Ok((g.a.finish()?.to_vec(), t))
}

impl Gen<'_> {
    fn begin(&mut self) -> u32 {
        self.a.align(16);
        self.a.address() as u32
    }

    fn consts(&mut self) -> Consts {
        let mut c = Consts::default();
        let mut put = |bytes: &[u8]| {
            self.a.align(16);
            let at = self.a.address() as u32;
            self.a.data(bytes);
            at
        };
        c.nan64 = put(&0x7ff8_0000_0000_0000u64.to_le_bytes());
        c.nan32 = put(&0x7fc0_0000u64.to_le_bytes());
        c.two63 = [
            put(&(0x5f00_0000u64).to_le_bytes()),
            put(&(0x43e0_0000_0000_0000u64).to_le_bytes()),
        ];
        c.two32 = [
            put(&(0x4f80_0000u64).to_le_bytes()),
            put(&(0x41f0_0000_0000_0000u64).to_le_bytes()),
        ];
        self.default_mxcsr = u64::from(put(&0x1f80u32.to_le_bytes()));
        // MXCSR: IE 1, DE 2, ZE 4, OE 8, UE 16, PE 32; `fp::Flags`: NX 1, UF 2, OF 4, DZ 8, NV 16.
        let table: [u8; 64] = std::array::from_fn(|x| {
            let bit = |from: usize, to: u8| if x >> from & 1 != 0 { to } else { 0 };
            bit(0, 16) | bit(2, 8) | bit(3, 4) | bit(4, 2) | bit(5, 1)
        });
        self.flag_table = u64::from(put(&table));
        c
    }

    /// `extern "sysv64" fn(ctx, host) -> Pair { value, kind }`.
    fn enter(&mut self) -> u32 {
        let at = self.begin();
        let a = &mut self.a;
        for r in [Gpr::Rbx, Gpr::Rbp, Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15] {
            a.push_r(r);
        }
        a.sub_ri(Width::W64, Gpr::Rsp, frame::SIZE);
        a.lea(
            Width::W64,
            Gpr::R15,
            Mem::new(Gpr::Rdi, (BASE_SLOT * 8) as i32),
        );
        a.mov_rr(Width::W64, Gpr::Rax, Gpr::Rsi);
        a.mov_rm(Width::W64, Gpr::R14, ctx_mem(offset_of!(Context, bank)));
        a.ldmxcsr(ctx_mem(offset_of!(Context, mxcsr)));
        for (r, s) in PINNED.iter().zip(self.cfg.pinned) {
            a.mov_rm(Width::W64, *r, slot_mem(s));
        }
        a.jmp_r(Gpr::Rax);
        at
    }

    /// Back to Rust with `rax` and `rdx` as they are.
    fn leave(&mut self) -> u64 {
        let at = self.begin();
        let tmp = Mem::new(Gpr::Rsp, frame::TMP);
        self.a.stmxcsr(tmp);
        let clean = self.a.label();
        self.a.test_mi(Width::W32, tmp, STICKY);
        self.a.jcc_short(Cond::E, clean);
        self.merge_flags(tmp, Gpr::Rcx, Gpr::Rsi);
        self.a.bind(clean);
        self.default_rounding(tmp);
        self.a.add_ri(Width::W64, Gpr::Rsp, frame::SIZE);
        for r in [Gpr::R15, Gpr::R14, Gpr::R13, Gpr::R12, Gpr::Rbp, Gpr::Rbx] {
            self.a.pop_r(r);
        }
        self.a.ret();
        u64::from(at)
    }

    /// Gives Rust code the rounding direction it expects, where the MXCSR image says otherwise.
    fn default_rounding(&mut self, mxcsr: Mem) {
        let nearest = self.a.label();
        self.a.test_mi(Width::W32, mxcsr, ROUNDING);
        self.a.jcc_short(Cond::E, nearest);
        self.a.ldmxcsr(Mem::rip(0));
        self.a.retarget_rip(self.default_mxcsr);
        self.a.bind(nearest);
    }

    /// ORs the flags of the MXCSR image at `mxcsr` into the flag slot.
    fn merge_flags(&mut self, mxcsr: Mem, x: Gpr, y: Gpr) {
        let a = &mut self.a;
        a.mov_rm(Width::W32, x, mxcsr);
        a.and_ri(Width::W32, x, 0x3f);
        a.lea(Width::W64, y, Mem::rip(0));
        a.retarget_rip(self.flag_table);
        a.movzx_rm(Width::W8, x, Mem::indexed(y, x, Scale::X1, 0));
        a.or_mr(Width::W64, slot_mem(self.cfg.fflags), x);
    }

    fn exit(&mut self, kind: u64) -> u32 {
        let at = self.begin();
        self.store_pinned();
        self.a.mov_ri(Width::W32, Gpr::Rdx, kind as i64);
        self.a.jmp_to(self.leave);
        at
    }

    fn store_pinned(&mut self) {
        for (r, s) in PINNED.iter().zip(self.cfg.pinned) {
            self.a.mov_mr(Width::W64, slot_mem(s), *r);
        }
    }

    fn arguments(&mut self, n: usize) {
        self.a.lea(Width::W64, Gpr::Rdi, ctx_mem(0));
        for (k, r) in [Gpr::Rsi, Gpr::Rdx, Gpr::Rcx, Gpr::R8, Gpr::R9]
            .into_iter()
            .enumerate()
            .take(n)
        {
            self.a
                .mov_rm(Width::W64, r, Mem::new(Gpr::Rsp, THUNK_RET + frame::arg(k)));
        }
    }

    fn call_aligned(&mut self, f: usize) {
        self.a.sub_ri(Width::W64, Gpr::Rsp, 8);
        self.a.movabs(Gpr::Rax, f as u64);
        self.a.call_r(Gpr::Rax);
        self.a.add_ri(Width::W64, Gpr::Rsp, 8);
    }

    /// A runtime function that may ask to leave. The arguments are in the frame; the result comes in `rax`. `reload` everything,
    /// not only what the ABI lets it change.
    fn call(&mut self, f: usize, args: usize, mxcsr: Mxcsr, reload: bool) -> u32 {
        let at = self.begin();
        let saved = Mem::new(Gpr::Rsp, THUNK_RET + frame::TMP);
        self.store_pinned();
        self.a.mov_rm(Width::W64, Gpr::Rax, Mem::new(Gpr::Rsp, 0));
        self.a.mov_mr(
            Width::W64,
            ctx_mem(offset_of!(Context, exit_payload) + 3 * 8),
            Gpr::Rax,
        );
        self.a.stmxcsr(saved);
        if mxcsr == Mxcsr::Synced {
            let clean = self.a.label();
            self.a.test_mi(Width::W32, saved, STICKY);
            self.a.jcc_short(Cond::E, clean);
            self.merge_flags(saved, Gpr::Rcx, Gpr::Rdx);
            self.a.bind(clean);
        }
        self.default_rounding(saved);
        self.arguments(args);
        self.call_aligned(f);
        self.a.ldmxcsr(if mxcsr == Mxcsr::Synced {
            ctx_mem(offset_of!(Context, mxcsr))
        } else {
            saved
        });
        let stop = self.a.label();
        self.a.test_rr(Width::W64, Gpr::Rdx, Gpr::Rdx);
        self.a.jcc_short(Cond::Ne, stop);
        for (k, (r, s)) in PINNED.iter().zip(self.cfg.pinned).enumerate() {
            if reload || CALLER_SAVED.contains(&k) {
                self.a.mov_rm(Width::W64, *r, slot_mem(s));
            }
        }
        self.a.ret();
        self.a.bind(stop);
        self.a.add_ri(Width::W64, Gpr::Rsp, 8);
        self.a.mov_ri(Width::W32, Gpr::Rdx, kind::STOPPED as i64);
        self.a.jmp_to(self.leave);
        at
    }

    /// A runtime function that only computes.
    fn call_pure(&mut self, f: usize, args: usize, mxcsr: Mxcsr) -> u32 {
        let at = self.begin();
        let saved = Mem::new(Gpr::Rsp, THUNK_RET + frame::TMP);
        for k in CALLER_SAVED {
            self.a
                .mov_mr(Width::W64, slot_mem(self.cfg.pinned[k]), PINNED[k]);
        }
        if mxcsr == Mxcsr::Kept {
            self.a.stmxcsr(saved);
            self.default_rounding(saved);
        }
        self.arguments(args);
        self.call_aligned(f);
        if mxcsr == Mxcsr::Kept {
            self.a.ldmxcsr(saved);
        }
        for k in CALLER_SAVED {
            self.a
                .mov_rm(Width::W64, PINNED[k], slot_mem(self.cfg.pinned[k]));
        }
        self.a.ret();
        at
    }

    /// Moves the sticky flags to the flag slot; keeps all registers.
    fn sync(&mut self) -> u32 {
        let at = self.begin();
        let saved = Mem::new(Gpr::Rsp, THUNK_RET + frame::TMP);
        self.a.stmxcsr(saved);
        let clean = self.a.label();
        self.a.test_mi(Width::W32, saved, STICKY);
        self.a.jcc_short(Cond::E, clean);
        self.a.push_r(Gpr::Rax);
        self.a.push_r(Gpr::Rdx);
        self.merge_flags(saved.offset(16), Gpr::Rax, Gpr::Rdx);
        self.a.pop_r(Gpr::Rdx);
        self.a.pop_r(Gpr::Rax);
        self.a.ldmxcsr(ctx_mem(offset_of!(Context, mxcsr)));
        self.a.bind(clean);
        self.a.ret();
        at
    }
}
