// CRC-32 three ways, which must agree: by bit, by byte table, by eight tables.
#include "common.h"

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 8);
    static uint32_t t[8][256];
    static uint8_t data[32768];
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int j = 0; j < 8; j++)
            c = c >> 1 ^ (0xedb88320u & -(c & 1));
        t[0][i] = c;
    }
    for (int k = 1; k < 8; k++)
        for (int i = 0; i < 256; i++)
            t[k][i] = t[k - 1][i] >> 8 ^ t[0][t[k - 1][i] & 0xff];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = random64();
    while (n--) {
        uint32_t bit = ~0u, byte = ~0u, eight = ~0u;
        for (size_t i = 0; i < 2048; i++) {
            bit ^= data[i];
            for (int j = 0; j < 8; j++)
                bit = bit & 1 ? bit >> 1 ^ 0xedb88320u : bit >> 1;
        }
        for (size_t i = 0; i < sizeof data; i++) {
            byte = byte >> 8 ^ t[0][(byte ^ data[i]) & 0xff];
            if (i == 2047)
                check(bit == byte);
        }
        for (size_t i = 0; i < sizeof data; i += 8) {
            uint64_t v;
            memcpy(&v, data + i, 8);
            v ^= eight;
            eight = t[7][v & 255] ^ t[6][v >> 8 & 255] ^ t[5][v >> 16 & 255] ^ t[4][v >> 24 & 255]
                  ^ t[3][v >> 32 & 255] ^ t[2][v >> 40 & 255] ^ t[1][v >> 48 & 255] ^ t[0][v >> 56];
        }
        check(byte == eight);
        sum(byte);
        data[n & 2047] ^= byte;
    }
    sum_print("crc");
    return 0;
}
