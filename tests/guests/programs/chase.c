// Memory out of order: a ring of pointers through many pages (address translation dominates), and a small one in the cache.
#include "common.h"

struct node { struct node *next; uint64_t value; char far[4096 - 16 + 64]; };
enum { FAR = 1500, NEAR = 512 };
static struct node ring[FAR];
static struct { uint32_t next, value; } near_[NEAR];

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 20);
    static int order[FAR];
    for (int i = 0; i < FAR; i++)
        order[i] = i;
    for (int i = FAR - 1; i > 0; i--) {
        int j = random64() % (i + 1), t = order[i];
        order[i] = order[j], order[j] = t;
    }
    for (int i = 0; i < FAR; i++)
        ring[order[i]].next = &ring[order[(i + 1) % FAR]], ring[order[i]].value = random64();
    for (int i = 0; i < NEAR; i++)
        near_[i].next = (i * 5 + 3) % NEAR, near_[i].value = (uint32_t)random64(); // a full cycle, as 5 = 1 mod 4 and 3 is odd
    uint64_t s = 0;
    struct node *p = ring;
    uint32_t q = 0;
    while (n--) {
        for (int i = 0; i < FAR; i++)
            s = s * 3 + p->value, p->value ^= s, p = p->next;
        for (int i = 0; i < NEAR * 8; i++)
            s += near_[q].value, q = near_[q].next;
        sum(s);
    }
    check(p == ring);
    sum_print("chase");
    return 0;
}
