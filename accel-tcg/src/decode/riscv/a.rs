//! Atomics (unprivileged manual, "A", "Zacas", "Zabha", "Zawrs").
//!
//! One line is one instruction: operation, mnemonic, operand format, encoding.

macro_rules! rows_a {
    ([$($rest:ident)*] $($acc:tt)*) => {
        chain! { [$($rest)*] $($acc)*
            [Zalrsc] {
                LrW       "lr.w"         Lr  "00010 .. 00000 ..... 010 ..... 0101111"
                ScW       "sc.w"         Amo "00011 .. ..... ..... 010 ..... 0101111"
                LrD       "lr.d"         Lr  "00010 .. 00000 ..... 011 ..... 0101111"
                ScD       "sc.d"         Amo "00011 .. ..... ..... 011 ..... 0101111"
            }
            [Zaamo] {
                AmoSwapW  "amoswap.w"    Amo "00001 .. ..... ..... 010 ..... 0101111"
                AmoAddW   "amoadd.w"     Amo "00000 .. ..... ..... 010 ..... 0101111"
                AmoXorW   "amoxor.w"     Amo "00100 .. ..... ..... 010 ..... 0101111"
                AmoAndW   "amoand.w"     Amo "01100 .. ..... ..... 010 ..... 0101111"
                AmoOrW    "amoor.w"      Amo "01000 .. ..... ..... 010 ..... 0101111"
                AmoMinW   "amomin.w"     Amo "10000 .. ..... ..... 010 ..... 0101111"
                AmoMaxW   "amomax.w"     Amo "10100 .. ..... ..... 010 ..... 0101111"
                AmoMinuW  "amominu.w"    Amo "11000 .. ..... ..... 010 ..... 0101111"
                AmoMaxuW  "amomaxu.w"    Amo "11100 .. ..... ..... 010 ..... 0101111"
                AmoSwapD  "amoswap.d"    Amo "00001 .. ..... ..... 011 ..... 0101111"
                AmoAddD   "amoadd.d"     Amo "00000 .. ..... ..... 011 ..... 0101111"
                AmoXorD   "amoxor.d"     Amo "00100 .. ..... ..... 011 ..... 0101111"
                AmoAndD   "amoand.d"     Amo "01100 .. ..... ..... 011 ..... 0101111"
                AmoOrD    "amoor.d"      Amo "01000 .. ..... ..... 011 ..... 0101111"
                AmoMinD   "amomin.d"     Amo "10000 .. ..... ..... 011 ..... 0101111"
                AmoMaxD   "amomax.d"     Amo "10100 .. ..... ..... 011 ..... 0101111"
                AmoMinuD  "amominu.d"    Amo "11000 .. ..... ..... 011 ..... 0101111"
                AmoMaxuD  "amomaxu.d"    Amo "11100 .. ..... ..... 011 ..... 0101111"
            }
            [Zabha] {
                AmoSwapB  "amoswap.b"    Amo "00001 .. ..... ..... 000 ..... 0101111"
                AmoAddB   "amoadd.b"     Amo "00000 .. ..... ..... 000 ..... 0101111"
                AmoXorB   "amoxor.b"     Amo "00100 .. ..... ..... 000 ..... 0101111"
                AmoAndB   "amoand.b"     Amo "01100 .. ..... ..... 000 ..... 0101111"
                AmoOrB    "amoor.b"      Amo "01000 .. ..... ..... 000 ..... 0101111"
                AmoMinB   "amomin.b"     Amo "10000 .. ..... ..... 000 ..... 0101111"
                AmoMaxB   "amomax.b"     Amo "10100 .. ..... ..... 000 ..... 0101111"
                AmoMinuB  "amominu.b"    Amo "11000 .. ..... ..... 000 ..... 0101111"
                AmoMaxuB  "amomaxu.b"    Amo "11100 .. ..... ..... 000 ..... 0101111"
                AmoSwapH  "amoswap.h"    Amo "00001 .. ..... ..... 001 ..... 0101111"
                AmoAddH   "amoadd.h"     Amo "00000 .. ..... ..... 001 ..... 0101111"
                AmoXorH   "amoxor.h"     Amo "00100 .. ..... ..... 001 ..... 0101111"
                AmoAndH   "amoand.h"     Amo "01100 .. ..... ..... 001 ..... 0101111"
                AmoOrH    "amoor.h"      Amo "01000 .. ..... ..... 001 ..... 0101111"
                AmoMinH   "amomin.h"     Amo "10000 .. ..... ..... 001 ..... 0101111"
                AmoMaxH   "amomax.h"     Amo "10100 .. ..... ..... 001 ..... 0101111"
                AmoMinuH  "amominu.h"    Amo "11000 .. ..... ..... 001 ..... 0101111"
                AmoMaxuH  "amomaxu.h"    Amo "11100 .. ..... ..... 001 ..... 0101111"
            }
            [Zacas] {
                AmocasW   "amocas.w"     Amo "00101 .. ..... ..... 010 ..... 0101111"
                AmocasD   "amocas.d"     Amo "00101 .. ..... ..... 011 ..... 0101111"
                AmocasQ   "amocas.q"     Amo "00101 .. ..... ..... 100 ..... 0101111"
            }
            [Zacas Zabha] {
                AmocasB   "amocas.b"     Amo "00101 .. ..... ..... 000 ..... 0101111"
                AmocasH   "amocas.h"     Amo "00101 .. ..... ..... 001 ..... 0101111"
            }
            [Zawrs] {
                WrsNto    "wrs.nto"      None "0000000 01101 00000 000 00000 1110011"
                WrsSto    "wrs.sto"      None "0000000 11101 00000 000 00000 1110011"
            }
        }
    };
}
