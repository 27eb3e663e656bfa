//! CSRs, privileged instructions, fences of caches and translations, may-be operations.
//!
//! One line is one instruction: operation, mnemonic, operand format, encoding.

macro_rules! rows_system {
    ([$($rest:ident)*] $($acc:tt)*) => {
        chain! { [$($rest)*] $($acc)*
            [Zicsr] {
                Csrrw   "csrrw"     Csr   "....... ..... ..... 001 ..... 1110011"
                Csrrs   "csrrs"     Csr   "....... ..... ..... 010 ..... 1110011"
                Csrrc   "csrrc"     Csr   "....... ..... ..... 011 ..... 1110011"
                Csrrwi  "csrrwi"    CsrI  "....... ..... ..... 101 ..... 1110011"
                Csrrsi  "csrrsi"    CsrI  "....... ..... ..... 110 ..... 1110011"
                Csrrci  "csrrci"    CsrI  "....... ..... ..... 111 ..... 1110011"
            }
            [Zifencei] {
                FenceI  "fence.i"   None  "....... ..... ..... 001 ..... 0001111"
            }
            [Machine] {
                Mret    "mret"      None  "0011000 00010 00000 000 00000 1110011"
                Wfi     "wfi"       None  "0001000 00101 00000 000 00000 1110011"
            }
            [S] {
                Sret    "sret"      None  "0001000 00010 00000 000 00000 1110011"
                SfenceVma "sfence.vma" Ss "0001001 ..... ..... 000 00000 1110011"
            }
            [Svinval] {
                SinvalVma "sinval.vma" Ss "0001011 ..... ..... 000 00000 1110011"
                SfenceWInval "sfence.w.inval" None "0001100 00000 00000 000 00000 1110011"
                SfenceInvalIr "sfence.inval.ir" None "0001100 00001 00000 000 00000 1110011"
            }
            [Zicbom] {
                CboInval "cbo.inval" Mem  "0000000 00000 ..... 010 00000 0001111"
                CboClean "cbo.clean" Mem  "0000000 00001 ..... 010 00000 0001111"
                CboFlush "cbo.flush" Mem  "0000000 00010 ..... 010 00000 0001111"
            }
            [Zicboz] {
                CboZero "cbo.zero"  Mem   "0000000 00100 ..... 010 00000 0001111"
            }
            [Zicbop] {
                PrefetchI "prefetch.i" Prefetch "....... 00000 ..... 110 00000 0010011"
                PrefetchR "prefetch.r" Prefetch "....... 00001 ..... 110 00000 0010011"
                PrefetchW "prefetch.w" Prefetch "....... 00011 ..... 110 00000 0010011"
            }
            [Zimop] {
                MopR    "mop.r"     MopR  "1.00..0 111.. ..... 100 ..... 1110011"
                MopRr   "mop.rr"    MopRr "1.00..1 ..... ..... 100 ..... 1110011"
            }
        }
    };
}
