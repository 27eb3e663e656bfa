// The Mandelbrot set: doubles in registers, one loop.
#include "common.h"

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 1);
    enum { W = 128, H = 96, LIMIT = 200 };
    while (n--)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                double cr = x * 3.0 / W - 2.1, ci = y * 2.4 / H - 1.2, r = 0, i = 0;
                int k = 0;
                for (; k < LIMIT && r * r + i * i <= 4; k++) {
                    double t = r * r - i * i + cr;
                    i = 2 * r * i + ci;
                    r = t;
                }
                sum(k);
                if (n == 0 && y % 12 == 0)
                    putchar(x == W - 1 ? '\n' : ".,:-=+*#%@"[k * 9 / LIMIT]);
            }
    sum_print("mandelbrot");
    return 0;
}
