/* The little of a C library that a freestanding program needs, and print(). */
#include "demo.h"

void *memset(void *dst, int c, size_t n)
{
	u8 *d = dst;
	while (n--)
		*d++ = (u8)c;
	return dst;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	u8 *d = dst;
	const u8 *s = src;
	while (n--)
		*d++ = *s++;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;
	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (u8)*a - (u8)*b;
}

bool starts_with(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

/* Decimal, or hexadecimal after 0x. Stops at a space or the end; anything else is no number. */
bool parse_number(const char *s, u64 *out)
{
	u64 base = 10, v = 0;
	int digits = 0;

	if (s[0] == '0' && (s[1] | 0x20) == 'x')
		base = 16, s += 2;
	for (; *s && *s != ' '; s++, digits++) {
		char c = *s;
		u64 d = c >= '0' && c <= '9' ? (u64)(c - '0')
			: (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (u64)((c | 0x20) - 'a' + 10) : 99;
		if (d >= base)
			return false;
		v = v * base + d;
	}
	*out = v;
	return digits > 0;
}

static void print_number(u64 v, u64 base, int width, char pad)
{
	char buf[24];
	int n = 0;

	do {
		buf[n++] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	while (width-- > n)
		console_putc(pad);
	while (n)
		console_putc(buf[--n]);
}

/* %s %c %d %u %x with an optional `l`, a width and a leading zero; %-Ns pads a string on the right. */
void print(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			console_putc(*fmt);
			continue;
		}
		char pad = ' ';
		bool left = false, wide = false;
		int width = 0;

		if (*++fmt == '-')
			left = true, fmt++;
		if (*fmt == '0')
			pad = '0', fmt++;
		while (*fmt >= '0' && *fmt <= '9')
			width = width * 10 + (*fmt++ - '0');
		if (*fmt == 'l')
			wide = true, fmt++;
		switch (*fmt) {
		case 's': {
			const char *s = va_arg(ap, const char *);
			int n = 0;
			for (; s[n]; n++)
				console_putc(s[n]);
			while (left && n++ < width)
				console_putc(' ');
			break;
		}
		case 'c':
			console_putc((char)va_arg(ap, int));
			break;
		case 'd': {
			i64 v = wide ? va_arg(ap, i64) : va_arg(ap, int);
			if (v < 0)
				console_putc('-');
			print_number(v < 0 ? -(u64)v : (u64)v, 10, width, pad);
			break;
		}
		case 'u':
		case 'x':
			print_number(wide ? va_arg(ap, u64) : va_arg(ap, unsigned), *fmt == 'x' ? 16 : 10, width, pad);
			break;
		default:
			console_putc(*fmt);
			if (!*fmt)
				fmt--;
		}
	}
	va_end(ap);
}
