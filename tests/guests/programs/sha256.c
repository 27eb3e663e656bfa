// SHA-256 (FIPS 180-4): rotations, additions, straight-line code.
#include "common.h"

static uint32_t k[64], start[8];
static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

// the constants are fraction bits of roots of primes: found with integers, so no table has to be trusted
static uint32_t fraction(int prime, int root)
{
    // the largest r with r^root <= prime * 2^(32*root); its low 32 bits
    uint64_t r = 0;
    for (int bit = 36; bit >= 0; bit--) {
        uint64_t t = r | 1ull << bit;
        unsigned __int128 square = (unsigned __int128)t * t;
        int fits;
        if (root == 2)
            fits = square <= (unsigned __int128)prime << 64;
        else // t^3 <= prime << 96, as square <= floor((prime << 96) / t)
            fits = square <= ((unsigned __int128)prime << 96) / t;
        if (fits)
            r = t;
    }
    return (uint32_t)r;
}
static void constants(void)
{
    int found = 0;
    for (int p = 2; found < 64; p++) {
        int prime = 1;
        for (int d = 2; d * d <= p; d++)
            if (p % d == 0)
                prime = 0;
        if (!prime)
            continue;
        if (found < 8)
            start[found] = fraction(p, 2);
        k[found++] = fraction(p, 3);
    }
}
static void block(uint32_t h[8], const uint8_t *m)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)m[4 * i] << 24 | m[4 * i + 1] << 16 | m[4 * i + 2] << 8 | m[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3)
             + (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t t2 = (rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}
static void hash(const uint8_t *data, size_t length, uint32_t h[8])
{
    memcpy(h, start, sizeof start);
    size_t at = 0;
    for (; at + 64 <= length; at += 64)
        block(h, data + at);
    uint8_t last[128] = { 0 };
    size_t rest = length - at, end = rest < 56 ? 64 : 128;
    memcpy(last, data + at, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[end - 1 - i] = (uint8_t)((uint64_t)length * 8 >> 8 * i);
    block(h, last);
    if (end == 128)
        block(h, last + 64);
}
static void show(const uint32_t h[8])
{
    for (int i = 0; i < 8; i++)
        printf("%08x", h[i]);
    putchar('\n');
}
int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 4);
    uint32_t h[8];
    static uint8_t data[65536];
    constants();
    hash((const uint8_t *)"abc", 3, h);
    show(h);
    check(h[0] == 0xba7816bf && h[7] == 0xf20015ad);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + 7);
    while (n--) {
        hash(data, sizeof data - 5, h);
        memcpy(data, h, sizeof h);
    }
    show(h);
    return 0;
}
