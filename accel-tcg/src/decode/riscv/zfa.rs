//! Additional floating-point instructions (unprivileged manual, "Zfa").
//!
//! One line is one instruction: operation, mnemonic, operand format, encoding.

macro_rules! rows_zfa {
    ([$($rest:ident)*] $($acc:tt)*) => {
        chain! { [$($rest)*] $($acc)*
            [Zfa F] {
                FliS      "fli.s"      Fli       "1111000 00001 ..... 000 ..... 1010011"
                FminmS    "fminm.s"    Fff       "0010100 ..... ..... 010 ..... 1010011"
                FmaxmS    "fmaxm.s"    Fff       "0010100 ..... ..... 011 ..... 1010011"
                FroundS   "fround.s"   FfRm      "0100000 00100 ..... ... ..... 1010011"
                FroundnxS "froundnx.s" FfRm      "0100000 00101 ..... ... ..... 1010011"
                FleqS     "fleq.s"     Xff       "1010000 ..... ..... 100 ..... 1010011"
                FltqS     "fltq.s"     Xff       "1010000 ..... ..... 101 ..... 1010011"
            }
            [Zfa D] {
                FliD      "fli.d"      Fli       "1111001 00001 ..... 000 ..... 1010011"
                FminmD    "fminm.d"    Fff       "0010101 ..... ..... 010 ..... 1010011"
                FmaxmD    "fmaxm.d"    Fff       "0010101 ..... ..... 011 ..... 1010011"
                FroundD   "fround.d"   FfRm      "0100001 00100 ..... ... ..... 1010011"
                FroundnxD "froundnx.d" FfRm      "0100001 00101 ..... ... ..... 1010011"
                FleqD     "fleq.d"     Xff       "1010001 ..... ..... 100 ..... 1010011"
                FltqD     "fltq.d"     Xff       "1010001 ..... ..... 101 ..... 1010011"
                FcvtmodWD "fcvtmod.w.d" XfRm      "1100001 01000 ..... 001 ..... 1010011"
            }
            [Zfa Zfh] {
                FliH      "fli.h"      Fli       "1111010 00001 ..... 000 ..... 1010011"
                FminmH    "fminm.h"    Fff       "0010110 ..... ..... 010 ..... 1010011"
                FmaxmH    "fmaxm.h"    Fff       "0010110 ..... ..... 011 ..... 1010011"
                FroundH   "fround.h"   FfRm      "0100010 00100 ..... ... ..... 1010011"
                FroundnxH "froundnx.h" FfRm      "0100010 00101 ..... ... ..... 1010011"
                FleqH     "fleq.h"     Xff       "1010010 ..... ..... 100 ..... 1010011"
                FltqH     "fltq.h"     Xff       "1010010 ..... ..... 101 ..... 1010011"
            }
        }
    };
}
