/*
 * A reader for the flattened device tree (Devicetree Specification 0.4, chapter 5). Nothing in the blob is trusted:
 * every offset is compared with the sizes in the header, and those with a ceiling of our own.
 */
#include "demo.h"

enum { FDT_BEGIN = 1, FDT_END_NODE = 2, FDT_PROP = 3, FDT_NOP = 4, FDT_END = 9 };
#define MAX_TREE (2u << 20)
#define MAX_DEPTH 16

struct dt_node dt_nodes[MAX_NODES];
int dt_count;

static const u8 *blob, *structs, *strings;
static u32 structs_len, strings_len;

static u32 be32(const void *p)
{
	const u8 *b = p;
	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

/* Length of a string that must end inside `room` bytes; -1 if it does not. */
static i64 bounded_len(const u8 *s, u32 room)
{
	for (u32 i = 0; i < room; i++)
		if (!s[i])
			return i;
	return -1;
}

/* Reads the property token at *at (just behind FDT_PROP) and steps over it. */
static bool take_prop(u32 *at, const char **name, const void **data, u32 *len)
{
	if (structs_len - *at < 8)
		return false;
	u32 n = be32(structs + *at), off = be32(structs + *at + 4);
	*at += 8;
	if (n > structs_len - *at || off >= strings_len || bounded_len(strings + off, strings_len - off) < 0)
		return false;
	*name = (const char *)strings + off;
	*data = structs + *at;
	*len = n;
	*at += (n + 3) & ~3u;
	return *at <= structs_len;
}

static const char *scan(void)
{
	int stack[MAX_DEPTH], depth = 0;
	u32 cells[MAX_DEPTH][2];
	u32 at = 0;

	while (structs_len - at >= 4) {
		u32 token = be32(structs + at);
		at += 4;
		if (token == FDT_BEGIN) {
			i64 n = bounded_len(structs + at, structs_len - at);
			if (n < 0)
				return "a node name has no end";
			if (depth == MAX_DEPTH || dt_count == MAX_NODES)
				return "more nodes than this kernel can hold";
			struct dt_node *d = &dt_nodes[dt_count];
			d->name = (const char *)structs + at;
			at += ((u32)n + 4) & ~3u;
			d->props = at;
			d->parent = depth ? stack[depth - 1] : -1;
			d->ac = depth ? cells[depth - 1][0] : 2;
			d->sc = depth ? cells[depth - 1][1] : 1;
			cells[depth][0] = 2;
			cells[depth][1] = 1;
			stack[depth++] = dt_count++;
		} else if (token == FDT_END_NODE) {
			if (!depth--)
				return "more node ends than nodes";
		} else if (token == FDT_PROP) {
			const char *name;
			const void *data;
			u32 len;
			if (!take_prop(&at, &name, &data, &len) || !depth)
				return "a property leaves the tree";
			if (len == 4 && !strcmp(name, "#address-cells"))
				cells[depth - 1][0] = be32(data);
			if (len == 4 && !strcmp(name, "#size-cells"))
				cells[depth - 1][1] = be32(data);
		} else if (token == FDT_END) {
			return depth || !dt_count ? "the tree ends inside a node" : NULL;
		} else if (token != FDT_NOP) {
			return "an unknown token";
		}
		if (at > structs_len)
			break;
	}
	return "the structure block has no end";
}

const char *fdt_init(u64 pa)
{
	if (!pa || pa & 7)
		return "a1 holds no aligned address";
	blob = (const u8 *)pa;
	if (be32(blob) != 0xd00dfeed)
		return "wrong magic";
	u32 total = be32(blob + 4), s = be32(blob + 8), t = be32(blob + 12);
	structs_len = be32(blob + 36);
	strings_len = be32(blob + 32);
	if (total > MAX_TREE || s > total || structs_len > total - s || t > total || strings_len > total - t || s & 3)
		return "a block lies outside";
	structs = blob + s;
	strings = blob + t;
	dt_count = 0;
	return scan();
}

/* Properties come before subnodes, so the first other token ends the search. */
const void *dt_prop(int node, const char *want, u32 *len)
{
	if (node < 0 || node >= dt_count)
		return NULL;
	for (u32 at = dt_nodes[node].props; structs_len - at >= 4;) {
		const char *name;
		const void *data;
		u32 token = be32(structs + at);
		at += 4;
		if (token == FDT_NOP)
			continue;
		if (token != FDT_PROP || !take_prop(&at, &name, &data, len))
			break;
		if (!strcmp(name, want))
			return data;
	}
	return NULL;
}

const char *dt_string(int node, const char *name)
{
	u32 len = 0;
	const char *s = dt_prop(node, name, &len);
	return s && len && !s[len - 1] ? s : NULL;
}

bool dt_u32(int node, const char *name, u32 index, u32 *out)
{
	u32 len = 0;
	const u8 *p = dt_prop(node, name, &len);
	if (!p || len / 4 <= index)
		return false;
	*out = be32(p + 4 * index);
	return true;
}

bool dt_reg(int node, u32 index, u64 *base, u64 *size)
{
	u32 len = 0, ac = node >= 0 && node < dt_count ? dt_nodes[node].ac : 0;
	const u8 *p = dt_prop(node, "reg", &len);
	if (!p || ac < 1 || ac > 2 || dt_nodes[node].sc > 2)
		return false;
	u32 sc = dt_nodes[node].sc, step = 4 * (ac + sc);
	if (len / step <= index)
		return false;
	*base = *size = 0;
	p += index * step;
	for (u32 i = 0; i < ac; i++, p += 4)
		*base = *base << 32 | be32(p);
	for (u32 i = 0; i < sc; i++, p += 4)
		*size = *size << 32 | be32(p);
	return true;
}

/* `compatible` is a list of strings. */
bool dt_compatible(int node, const char *what)
{
	u32 len = 0;
	const char *s = dt_prop(node, "compatible", &len);
	if (!s || !len || s[len - 1])
		return false;
	for (u32 i = 0; i < len; i += strlen(s + i) + 1)
		if (!strcmp(s + i, what))
			return true;
	return false;
}

/* The child of `parent` with this name, with or without a unit address. */
int dt_find(const char *name, int parent)
{
	size_t n = strlen(name);
	for (int i = 0; i < dt_count; i++)
		if (dt_nodes[i].parent == parent && starts_with(dt_nodes[i].name, name) &&
		    (!dt_nodes[i].name[n] || dt_nodes[i].name[n] == '@'))
			return i;
	return -1;
}
