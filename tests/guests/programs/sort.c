// qsort (indirect calls, unpredictable branches) and a heap sort of our own, which must agree.
#include "common.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
static void sift(int64_t *v, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && v[child] < v[child + 1])
            child++;
        if (v[root] >= v[child])
            return;
        int64_t t = v[root]; v[root] = v[child]; v[child] = t;
    }
}
int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 2);
    enum { N = 20000 };
    static int64_t a[N], b[N];
    while (n--) {
        for (int i = 0; i < N; i++)
            a[i] = b[i] = (int64_t)random_edge();
        qsort(a, N, sizeof *a, compare);
        for (size_t i = N / 2; i-- > 0;)
            sift(b, i, N);
        for (size_t i = N; i-- > 1;) {
            int64_t t = b[0]; b[0] = b[i]; b[i] = t;
            sift(b, 0, i);
        }
        check(memcmp(a, b, sizeof a) == 0);
        for (int i = 0; i < N; i++)
            sum(a[i]);
    }
    sum_print("sorted");
    return 0;
}
