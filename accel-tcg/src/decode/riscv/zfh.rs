//! Half precision (unprivileged manual, "Zfh", "Zfhmin").
//!
//! One line is one instruction: operation, mnemonic, operand format, encoding.

macro_rules! rows_zfh {
    ([$($rest:ident)*] $($acc:tt)*) => {
        chain! { [$($rest)*] $($acc)*
            [Zfhmin] {
                Flh       "flh"        FLoad     "....... ..... ..... 001 ..... 0000111"
                Fsh       "fsh"        FStore    "....... ..... ..... 001 ..... 0100111"
                FmvXH     "fmv.x.h"    Xf        "1110010 00000 ..... 000 ..... 1010011"
                FmvHX     "fmv.h.x"    Fx        "1111010 00000 ..... 000 ..... 1010011"
                FcvtSH    "fcvt.s.h"   FfRm      "0100000 00010 ..... ... ..... 1010011"
                FcvtHS    "fcvt.h.s"   FfRm      "0100010 00000 ..... ... ..... 1010011"
            }
            [Zfhmin D] {
                FcvtDH    "fcvt.d.h"   FfRm      "0100001 00010 ..... ... ..... 1010011"
                FcvtHD    "fcvt.h.d"   FfRm      "0100010 00001 ..... ... ..... 1010011"
            }
            [Zfh] {
                FmaddH    "fmadd.h"    FmaRm     ".....10 ..... ..... ... ..... 1000011"
                FmsubH    "fmsub.h"    FmaRm     ".....10 ..... ..... ... ..... 1000111"
                FnmsubH   "fnmsub.h"   FmaRm     ".....10 ..... ..... ... ..... 1001011"
                FnmaddH   "fnmadd.h"   FmaRm     ".....10 ..... ..... ... ..... 1001111"
                FaddH     "fadd.h"     FffRm     "0000010 ..... ..... ... ..... 1010011"
                FsubH     "fsub.h"     FffRm     "0000110 ..... ..... ... ..... 1010011"
                FmulH     "fmul.h"     FffRm     "0001010 ..... ..... ... ..... 1010011"
                FdivH     "fdiv.h"     FffRm     "0001110 ..... ..... ... ..... 1010011"
                FsqrtH    "fsqrt.h"    FfRm      "0101110 00000 ..... ... ..... 1010011"
                FsgnjH    "fsgnj.h"    Fff       "0010010 ..... ..... 000 ..... 1010011"
                FsgnjnH   "fsgnjn.h"   Fff       "0010010 ..... ..... 001 ..... 1010011"
                FsgnjxH   "fsgnjx.h"   Fff       "0010010 ..... ..... 010 ..... 1010011"
                FminH     "fmin.h"     Fff       "0010110 ..... ..... 000 ..... 1010011"
                FmaxH     "fmax.h"     Fff       "0010110 ..... ..... 001 ..... 1010011"
                FleH      "fle.h"      Xff       "1010010 ..... ..... 000 ..... 1010011"
                FltH      "flt.h"      Xff       "1010010 ..... ..... 001 ..... 1010011"
                FeqH      "feq.h"      Xff       "1010010 ..... ..... 010 ..... 1010011"
                FclassH   "fclass.h"   Xf        "1110010 00000 ..... 001 ..... 1010011"
                FcvtWH    "fcvt.w.h"   XfRm      "1100010 00000 ..... ... ..... 1010011"
                FcvtWuH   "fcvt.wu.h"  XfRm      "1100010 00001 ..... ... ..... 1010011"
                FcvtLH    "fcvt.l.h"   XfRm      "1100010 00010 ..... ... ..... 1010011"
                FcvtLuH   "fcvt.lu.h"  XfRm      "1100010 00011 ..... ... ..... 1010011"
                FcvtHW    "fcvt.h.w"   FxRm      "1101010 00000 ..... ... ..... 1010011"
                FcvtHWu   "fcvt.h.wu"  FxRm      "1101010 00001 ..... ... ..... 1010011"
                FcvtHL    "fcvt.h.l"   FxRm      "1101010 00010 ..... ... ..... 1010011"
                FcvtHLu   "fcvt.h.lu"  FxRm      "1101010 00011 ..... ... ..... 1010011"
            }
        }
    };
}
