//! Guest RAM at host addresses: the few functions that dereference them.
//!
//! Guest accesses to naturally aligned data are single-copy atomic, as every guest architecture demands; misaligned ones are plain copies.
//! Other CPUs and devices may access the same bytes at any time; all accesses here are atomic or volatile so that this is defined.
#![expect(unsafe_code, reason = "guest RAM is reached through host addresses")]

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*, fence};

use crate::sem::{Rmw, Width};

/// A host address inside a RAM block that outlives the access: what a TLB entry of the current view yields.
#[derive(Clone, Copy, Debug)]
pub struct HostAddr(u64);

impl HostAddr {
    /// # Safety
    /// `addr` up to the end of its 4 KiB page lies in a RAM block's host mapping that stays mapped while this value is used. Accesses through it
    /// do not go beyond that page.
    #[inline(always)]
    pub unsafe fn new(addr: u64) -> HostAddr {
        HostAddr(addr)
    }

    /// The address.
    #[inline(always)]
    pub fn addr(self) -> u64 {
        self.0
    }
}

/// Loads, zero-extended.
#[inline(always)]
pub fn load(at: HostAddr, w: Width) -> u64 {
    let p = at.0 as *const u8;
    if at.0 & (u64::from(w.bytes()) - 1) != 0 {
        let mut buf = [0u8; 8];
        for (i, b) in buf.iter_mut().enumerate().take(usize::from(w.bytes())) {
            // SAFETY: `HostAddr` covers the access, which stays in one page.
            *b = unsafe { AtomicU8::from_ptr(p.add(i).cast_mut()) }.load(Relaxed);
        }
        return u64::from_le_bytes(buf);
    }
    // SAFETY: `HostAddr` covers the access, aligned as just checked.
    unsafe {
        match w {
            Width::W8 => u64::from(AtomicU8::from_ptr(p.cast_mut()).load(Relaxed)),
            Width::W16 => u64::from(u16::from_le(
                AtomicU16::from_ptr(p.cast_mut().cast()).load(Relaxed),
            )),
            Width::W32 => u64::from(u32::from_le(
                AtomicU32::from_ptr(p.cast_mut().cast()).load(Relaxed),
            )),
            Width::W64 => u64::from_le(AtomicU64::from_ptr(p.cast_mut().cast()).load(Relaxed)),
        }
    }
}

/// Stores the low bits.
#[inline(always)]
pub fn store(at: HostAddr, w: Width, v: u64) {
    let p = at.0 as *mut u8;
    if at.0 & (u64::from(w.bytes()) - 1) != 0 {
        for (i, b) in v
            .to_le_bytes()
            .iter()
            .enumerate()
            .take(usize::from(w.bytes()))
        {
            // SAFETY: `HostAddr` covers the access, which stays in one page.
            unsafe { AtomicU8::from_ptr(p.add(i)) }.store(*b, Relaxed);
        }
        return;
    }
    // SAFETY: `HostAddr` covers the access, aligned as just checked.
    unsafe {
        match w {
            Width::W8 => AtomicU8::from_ptr(p).store(v as u8, Relaxed),
            Width::W16 => AtomicU16::from_ptr(p.cast()).store((v as u16).to_le(), Relaxed),
            Width::W32 => AtomicU32::from_ptr(p.cast()).store((v as u32).to_le(), Relaxed),
            Width::W64 => AtomicU64::from_ptr(p.cast()).store(v.to_le(), Relaxed),
        }
    }
}

/// What a read-modify-write stores, given the old value; both in the low bits.
pub fn combine(op: Rmw, w: Width, old: u64, v: u64) -> u64 {
    let sh = 64 - w.bits();
    let (so, sv) = (((old << sh) as i64) >> sh, ((v << sh) as i64) >> sh);
    let (uo, uv) = (old & w.mask(), v & w.mask());
    let r = match op {
        Rmw::Swap => v,
        Rmw::Add => old.wrapping_add(v),
        Rmw::And => old & v,
        Rmw::Or => old | v,
        Rmw::Xor => old ^ v,
        Rmw::MinS => so.min(sv) as u64,
        Rmw::MaxS => so.max(sv) as u64,
        Rmw::MinU => uo.min(uv),
        Rmw::MaxU => uo.max(uv),
    };
    r & w.mask()
}

/// Compare-and-swap on an aligned location, sequentially consistent; returns the old value, zero-extended.
pub fn compare_exchange(at: HostAddr, w: Width, expected: u64, new: u64) -> u64 {
    debug_assert!(at.0.is_multiple_of(u64::from(w.bytes())));
    let p = at.0 as *mut u8;
    macro_rules! cas {
        ($atomic:ty, $int:ty) => {{
            // SAFETY: `HostAddr` covers the access; callers check the alignment.
            let a = unsafe { <$atomic>::from_ptr(p.cast()) };
            match a.compare_exchange(
                (expected as $int).to_le(),
                (new as $int).to_le(),
                SeqCst,
                SeqCst,
            ) {
                Ok(v) | Err(v) => u64::from(<$int>::from_le(v)),
            }
        }};
    }
    match w {
        Width::W8 => cas!(AtomicU8, u8),
        Width::W16 => cas!(AtomicU16, u16),
        Width::W32 => cas!(AtomicU32, u32),
        Width::W64 => cas!(AtomicU64, u64),
    }
}

/// Atomic read-modify-write on an aligned location, sequentially consistent; returns the old value, zero-extended.
pub fn rmw(at: HostAddr, w: Width, op: Rmw, v: u64) -> u64 {
    let mut old = load(at, w);
    loop {
        let seen = compare_exchange(at, w, old, combine(op, w, old, v));
        if seen == old {
            return old;
        }
        old = seen;
    }
}

/// Compare-and-swap of 16 aligned bytes, low half first; returns the old value.
#[cfg(target_arch = "x86_64")]
pub fn compare_exchange16(at: HostAddr, expected: (u64, u64), new: (u64, u64)) -> (u64, u64) {
    debug_assert!(at.0.is_multiple_of(16));
    if std::is_x86_feature_detected!("cmpxchg16b") {
        let (lo, hi): (u64, u64);
        // SAFETY: `HostAddr` covers the aligned access, the instruction is there; `rbx` is kept by exchanging it.
        unsafe {
            std::arch::asm!(
                "xchg rbx, {new}",
                "lock cmpxchg16b [{p}]",
                "mov rbx, {new}",
                p = in(reg) at.0,
                new = inout(reg) new.0 => _,
                in("rcx") new.1,
                inout("rax") expected.0 => lo,
                inout("rdx") expected.1 => hi,
            );
        }
        return (lo, hi);
    }
    compare_exchange16_locked(at, expected, new)
}

/// The same for hosts without the instruction.
#[cfg(not(target_arch = "x86_64"))]
pub fn compare_exchange16(at: HostAddr, expected: (u64, u64), new: (u64, u64)) -> (u64, u64) {
    compare_exchange16_locked(at, expected, new)
}

/// Atomic among its own kind only.
fn compare_exchange16_locked(at: HostAddr, expected: (u64, u64), new: (u64, u64)) -> (u64, u64) {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _guard = LOCK.lock();
    let high = HostAddr(at.0 + 8);
    let old = (load(at, Width::W64), load(high, Width::W64));
    if old == expected {
        store(at, Width::W64, new.0);
        store(high, Width::W64, new.1);
    }
    old
}

/// Copies out of guest RAM, within a page.
pub fn copy_out(at: HostAddr, buf: &mut [u8]) {
    for (i, b) in buf.iter_mut().enumerate() {
        // SAFETY: `HostAddr` covers its page; callers stay within it.
        *b = unsafe { AtomicU8::from_ptr((at.0 as *mut u8).add(i)) }.load(Relaxed);
    }
}

/// Full fence.
#[inline]
pub fn full_fence() {
    fence(SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_alignments() {
        let mut page = vec![0u64; 8];
        let base = page.as_mut_ptr() as u64;
        // SAFETY: the vector outlives every use below and all accesses stay inside it.
        let at = |off: u64| unsafe { HostAddr::new(base + off) };
        store(at(0), Width::W64, 0x1122_3344_5566_7788);
        assert_eq!(load(at(0), Width::W8), 0x88);
        assert_eq!(load(at(1), Width::W16), 0x6677);
        assert_eq!(load(at(3), Width::W32), 0x2233_4455);
        store(at(5), Width::W64, 0xa1a2_a3a4_a5a6_a7a8);
        assert_eq!(load(at(5), Width::W64), 0xa1a2_a3a4_a5a6_a7a8);
        assert_eq!(load(at(0), Width::W32), 0x5566_7788);
        assert_eq!(rmw(at(16), Width::W32, Rmw::Add, u64::MAX), 0);
        assert_eq!(load(at(16), Width::W64), 0xffff_ffff);
        assert_eq!(rmw(at(16), Width::W32, Rmw::MaxS, 5), 0xffff_ffff);
        assert_eq!(load(at(16), Width::W32), 5);
        assert_eq!(compare_exchange(at(16), Width::W8, 5, 0x1ff), 5);
        assert_eq!(load(at(16), Width::W32), 0xff);
    }
}
