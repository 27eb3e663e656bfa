// Matrix products in double, float and 32-bit integers: loads, multiply-adds, and what vectorisation of -O3 leaves of them.
#include "common.h"

enum { N = 72 };
#define PRODUCT(name, T) \
    static NOINLINE void name(T (*c)[N], T (*a)[N], T (*b)[N]) \
    { \
        for (int i = 0; i < N; i++) \
            for (int j = 0; j < N; j++) { \
                T s = 0; \
                for (int k = 0; k < N; k++) \
                    s += a[i][k] * b[k][j]; \
                c[i][j] = s; \
            } \
    }
PRODUCT(product_d, double)
PRODUCT(product_f, float)
PRODUCT(product_i, uint32_t)

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 2);
    static double da[N][N], db[N][N], dc[N][N];
    static float fa[N][N], fb[N][N], fc[N][N];
    static uint32_t ia[N][N], ib[N][N], ic[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            da[i][j] = fa[i][j] = (i * 7 + j * 3) % 11 / 8.0 - 0.5;
            db[i][j] = fb[i][j] = 1.0 / (i + j + 1);
            ia[i][j] = random64();
            ib[i][j] = random64();
        }
    while (n--) {
        product_d(dc, da, db);
        product_f(fc, fa, fb);
        product_i(ic, ia, ib);
        for (int i = 0; i < N; i++) {
            uint64_t u;
            uint32_t v;
            memcpy(&u, &dc[i][(i * 5) % N], 8);
            memcpy(&v, &fc[i][(i * 3) % N], 4);
            sum(u), sum(v), sum(ic[i][(i * 11) % N]);
            da[i][i] += dc[i][0] / 64;
            fa[i][i] += fc[i][0] / 64;
            ia[i][i] += ic[i][0];
        }
    }
    sum_print("matrix");
    return 0;
}
