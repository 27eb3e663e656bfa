/* The real-time clock, and one request to each virtio-mmio device whose answer is harmless: entropy and block. */
#include "demo.h"

static u64 rtc_read(void)
{
	u64 lo = mmio32(machine.rtc); /* reading TIME_LOW latches TIME_HIGH */
	return (u64)mmio32(machine.rtc + 4) << 32 | lo;
}

const char *check_rtc(void)
{
	if (!machine.rtc)
		return "no goldfish-rtc";
	u64 a = rtc_read(), last = a, end = rdtime() + 5 * machine.timebase;
	bool back = false;

	while (last == a && rdtime() < end) {
		u64 t = rtc_read();
		back |= t < last;
		last = t;
	}
	expect("the clock runs", last > a, 1);
	expect("the clock runs forward", back, 0);

	/* Days to a date after Howard Hinnant's description of the Gregorian calendar in 400-year eras. */
	u64 sec = last / 1000000000, day = sec / 86400 + 719468, era = day / 146097, doe = day % 146097;
	u64 yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	u64 mp = (5 * doy + 2) / 153, d = doy - (153 * mp + 2) / 5 + 1, m = mp < 10 ? mp + 3 : mp - 9;
	print("%lu-%02lu-%02lu %02lu:%02lu:%02lu UTC ", yoe + era * 400 + (m <= 2), m, d, sec / 3600 % 24, sec / 60 % 60,
	      sec % 60);
	return NULL;
}

/* ---- virtio over MMIO (virtio 1.2, 4.2), modern and legacy, queue 0 only, polled ---- */

enum {
	V_FEATURES_SEL = 0x14, V_DRIVER_FEATURES = 0x20, V_DRIVER_FEATURES_SEL = 0x24, V_PAGE_SIZE = 0x28, V_QUEUE_SEL = 0x30,
	V_QUEUE_MAX = 0x34, V_QUEUE_NUM = 0x38, V_QUEUE_ALIGN = 0x3c, V_QUEUE_PFN = 0x40, V_QUEUE_READY = 0x44,
	V_NOTIFY = 0x50, V_ISR = 0x60, V_ACK = 0x64, V_STATUS = 0x70, V_DESC = 0x80, V_AVAIL = 0x90, V_USED = 0xa0,
	V_CONFIG = 0x100,
};
enum { QSIZE = 4, DESC_NEXT = 1, DESC_WRITE = 2 };

/* Laid out as legacy devices want it: the used ring on a page of its own. */
static struct {
	struct { u64 addr; u32 len; u16 flags, next; } desc[QSIZE];
	struct { u16 flags, idx, ring[QSIZE]; } avail;
	u8 pad[PAGE - 16 * QSIZE - 4 - 2 * QSIZE];
	struct { u16 flags, idx; struct { u32 id, len; } ring[QSIZE]; } used;
} __attribute__((aligned(4096))) vq;

static void set64(u64 addr, const void *p)
{
	mmio32(addr) = (u32)(u64)p;
	mmio32(addr + 4) = (u32)((u64)p >> 32);
}

static bool virtio_start(struct virtio_slot *v)
{
	u64 b = v->base;

	memset(&vq, 0, sizeof(vq));
	mmio32(b + V_STATUS) = 0;
	expect("status after reset", mmio32(b + V_STATUS), 0);
	mmio32(b + V_STATUS) = 3; /* ACKNOWLEDGE, DRIVER */
	for (u32 i = 0; i < 2; i++) {
		mmio32(b + V_DRIVER_FEATURES_SEL) = i;
		mmio32(b + V_DRIVER_FEATURES) = i == 1 && v->version >= 2; /* VERSION_1 and nothing else */
	}
	if (v->version >= 2) {
		mmio32(b + V_STATUS) = 3 | 8;
		expect("FEATURES_OK stays set", mmio32(b + V_STATUS) & 8, 8);
	}
	mmio32(b + V_QUEUE_SEL) = 0;
	bool room = mmio32(b + V_QUEUE_MAX) >= QSIZE;
	expect("the queue has room", room, 1);
	mmio32(b + V_QUEUE_NUM) = QSIZE;
	if (v->version >= 2) {
		set64(b + V_DESC, vq.desc);
		set64(b + V_AVAIL, &vq.avail);
		set64(b + V_USED, &vq.used);
		mmio32(b + V_QUEUE_READY) = 1;
		mmio32(b + V_STATUS) = 3 | 8 | 4;
	} else {
		mmio32(b + V_PAGE_SIZE) = PAGE;
		mmio32(b + V_QUEUE_ALIGN) = PAGE;
		mmio32(b + V_QUEUE_PFN) = (u32)((u64)&vq / PAGE);
		mmio32(b + V_STATUS) = 3 | 4;
	}
	return room;
}

/* Offers the chain that starts at descriptor 0 and waits for it; false after 10 s of guest time. */
static bool virtio_run(struct virtio_slot *v)
{
	volatile u16 *used = &vq.used.idx;
	u16 want = (u16)(*used + 1);

	vq.avail.ring[vq.avail.idx % QSIZE] = 0;
	asm volatile("fence rw, rw" ::: "memory");
	vq.avail.idx++;
	asm volatile("fence rw, rw" ::: "memory");
	mmio32(v->base + V_NOTIFY) = 0;
	for (u64 end = rdtime() + 10 * machine.timebase; *used != want;)
		if (rdtime() > end)
			return false;
	asm volatile("fence rw, rw" ::: "memory");
	expect("interrupt status has the used ring", mmio32(v->base + V_ISR) & 1, 1);
	mmio32(v->base + V_ACK) = 1;
	expect("interrupt status after the acknowledge", mmio32(v->base + V_ISR) & 1, 0);
	return true;
}

static void entropy(struct virtio_slot *v)
{
	static u8 a[2][64];
	u32 got[2];

	for (int i = 0; i < 2; i++) {
		vq.desc[0].addr = (u64)a[i];
		vq.desc[0].len = sizeof(a[i]);
		vq.desc[0].flags = DESC_WRITE;
		if (!virtio_run(v)) {
			expect("entropy comes", 0, 1);
			return;
		}
		got[i] = vq.used.ring[i].len;
		expect("entropy of a sensible length", got[i] > 0 && got[i] <= sizeof(a[i]), 1);
	}
	if (got[0] >= 16 && got[1] >= 16)
		expect("two draws differ", memcmp(a[0], a[1], 16) != 0, 1);
	print("entropy ");
}

static void block(struct virtio_slot *v)
{
	static struct { u32 type, reserved; u64 sector; } head;
	static u8 data[2][512], status;
	u64 sectors = mmio32(v->base + V_CONFIG) | (u64)mmio32(v->base + V_CONFIG + 4) << 32;

	if (!sectors)
		return;
	for (int i = 0; i < 2; i++) {
		memset(data[i], 0x55 + i, 512);
		status = 0xff;
		vq.desc[0].addr = (u64)&head, vq.desc[0].len = 16, vq.desc[0].flags = DESC_NEXT, vq.desc[0].next = 1;
		vq.desc[1].addr = (u64)data[i], vq.desc[1].len = 512, vq.desc[1].flags = DESC_NEXT | DESC_WRITE, vq.desc[1].next = 2;
		vq.desc[2].addr = (u64)&status, vq.desc[2].len = 1, vq.desc[2].flags = DESC_WRITE;
		if (!virtio_run(v)) {
			expect("a sector is read", 0, 1);
			return;
		}
		expect("status of a read", *(volatile u8 *)&status, 0);
		expect("bytes written by a read", vq.used.ring[i].len, 513);
	}
	expect("sector 0 reads the same twice", (u64)memcmp(data[0], data[1], 512), 0);
	print("block of %lu sectors ", sectors);
}

const char *check_virtio(void)
{
	bool any = false;

	for (int i = 0; i < machine.virtio_count; i++) {
		struct virtio_slot *v = &machine.virtio[i];
		if ((v->id != 4 && v->id != 2) || !virtio_start(v))
			continue;
		any = true;
		if (v->id == 4)
			entropy(v);
		else
			block(v);
		mmio32(v->base + V_STATUS) = 0;
	}
	return any ? NULL : "no entropy or block device";
}
