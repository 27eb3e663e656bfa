// String and memory functions of the C library, at every small alignment and length.
#include "common.h"

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 20);
    static unsigned char a[4096], b[4096];
    for (long round = 0; round < n; round++) {
        for (size_t i = 0; i < sizeof a; i++) { a[i] = random64(); b[i] = 0; }
        for (size_t from = 0; from < 16; from++)
            for (size_t to = 0; to < 16; to += 3)
                for (size_t length = 0; length < 150; length += 1 + length / 16) {
                    memcpy(b + to, a + from, length);
                    check(memcmp(b + to, a + from, length) == 0);
                    memmove(b + to + 5, b + to, length);
                    memset(b + to, (int)length, from);
                    sum(b[to] + b[to + length] + b[to + length / 2 + 1]);
                }
        for (size_t i = 0; i < sizeof a; i++) { a[i] = 'a' + a[i] % 26; sum(b[i]); }
        a[sizeof a - 1] = 0;
        for (size_t i = 0; i < 2000; i += 37) {
            const char *s = (const char *)a + i;
            sum(strlen(s));
            const char *p = strchr(s, 'q');
            sum(p ? p - s : -1);
            char needle[4] = { s[100], s[101], s[102], 0 };
            p = strstr(s, needle);
            check(p && p - s <= 100);
            sum(p - s);
            sum(strcmp(s, s + 1) < 0);
            p = memchr(s, 0, sizeof a - i);
            check(p == s + strlen(s));
            sum(strspn(s, "abcdefghijklm"));
        }
        sum_print("round");
    }
    char text[128];
    snprintf(text, sizeof text, "%d|%5u|%-8lx|%08llX|%s|%c|%.3f|%e", -42, 42u, 0xbeefl, 0xdeadbeefcafeull, "word", 'x', 3.14159, 6.02e23);
    puts(text);
    return 0;
}
