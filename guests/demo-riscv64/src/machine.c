/* What the device tree says of this machine, and the list of it that is printed. */
#include "demo.h"

struct machine machine;

bool isa_has(const char *ext)
{
	const char *s = machine.isa ? machine.isa : "";
	size_t n = strlen(ext);

	if (starts_with(s, "rv64"))
		s += 4;
	if (n == 1) { /* single letters come first, up to the first underscore or multi-letter name */
		for (; *s && *s != '_'; s++)
			if (*s == *ext || (*s == 'g' && (*ext == 'i' || *ext == 'm' || *ext == 'a' || *ext == 'f' || *ext == 'd')))
				return true;
		return false;
	}
	for (; *s; s++)
		if (*s == '_' && starts_with(s + 1, ext) && (!s[n + 1] || s[n + 1] == '_'))
			return true;
	return false;
}

/* Looks for `name` or `name=value` among the words of bootargs. */
bool option(const char *name, const char **value)
{
	size_t n = strlen(name);

	for (const char *s = machine.bootargs; s && *s;) {
		if (starts_with(s, name) && (!s[n] || s[n] == ' ' || s[n] == '=')) {
			if (value)
				*value = s[n] == '=' ? s + n + 1 : "";
			return true;
		}
		while (*s && *s != ' ')
			s++;
		while (*s == ' ')
			s++;
	}
	return false;
}

/* PLIC context of each hart: the index of the pair <its interrupt controller, 9> in interrupts-extended. */
static void find_contexts(int plic, int cpu, struct hart *h)
{
	u32 want, handle, irq;

	if (!dt_u32(dt_find("interrupt-controller", cpu), "phandle", 0, &want))
		return;
	for (u32 i = 0; dt_u32(plic, "interrupts-extended", 2 * i, &handle) &&
	     dt_u32(plic, "interrupts-extended", 2 * i + 1, &irq); i++)
		if (handle == want && irq == IRQ_EXT)
			h->plic_context = i;
}

static void find_harts(int cpus, int plic)
{
	u64 boot = harts[0].id;
	int n = 1;
	u64 base, size;

	for (int i = 0; i < dt_count; i++) {
		const char *type = dt_string(i, "device_type"), *status = dt_string(i, "status");
		if (dt_nodes[i].parent != cpus || !type || strcmp(type, "cpu") || !dt_reg(i, 0, &base, &size))
			continue;
		if (status && strcmp(status, "okay") && strcmp(status, "ok"))
			continue;
		struct hart *h = base == boot ? &harts[0] : n < MAX_HARTS ? &harts[n++] : NULL;
		if (!h)
			continue;
		h->id = base;
		h->plic_context = -1;
		if (plic >= 0)
			find_contexts(plic, i, h);
		if (h == &harts[0])
			machine.isa = dt_string(i, "riscv,isa");
	}
	machine.hart_count = n;
}

static void add_virtio(u64 base, u32 irq)
{
	if (machine.virtio_count == MAX_VIRTIO || mmio32(base) != 0x74726976)
		return;
	u32 id = mmio32(base + 8);
	if (id)
		machine.virtio[machine.virtio_count++] =
			(struct virtio_slot){ base, irq, mmio32(base + 4), id };
}

void machine_discover(void)
{
	int plic = -1, cpus = dt_find("cpus", 0);
	u64 base, size;
	u32 v;

	machine.model = dt_string(0, "model");
	machine.bootargs = dt_string(dt_find("chosen", 0), "bootargs");
	if (dt_u32(cpus, "timebase-frequency", 0, &v))
		machine.timebase = v;
	for (int i = 0; i < dt_count; i++) {
		const char *type = dt_string(i, "device_type");
		u32 irq = 0;
		if (!dt_reg(i, 0, &base, &size))
			continue;
		dt_u32(i, "interrupts", 0, &irq);
		if (type && !strcmp(type, "memory") && !machine.ram_size)
			machine.ram_base = base, machine.ram_size = size;
		if (dt_compatible(i, "sifive,plic-1.0.0") || dt_compatible(i, "riscv,plic0")) {
			plic = i;
			machine.plic = base;
			dt_u32(i, "riscv,ndev", 0, &machine.plic_sources);
		}
		if (!machine.uart && dt_compatible(i, "ns16550a")) {
			machine.uart = base, machine.uart_irq = irq;
			dt_u32(i, "reg-shift", 0, &machine.uart_shift);
		}
		if (dt_compatible(i, "google,goldfish-rtc"))
			machine.rtc = base;
		if (dt_compatible(i, "virtio,mmio"))
			add_virtio(base, irq);
	}
	find_harts(cpus, plic);
}

static const char *virtio_name(u32 id)
{
	static const char *const names[] = {
		"?", "net", "block", "console", "entropy", "balloon", [8] = "scsi", [9] = "9p", [16] = "gpu",
		[18] = "input", [19] = "vsock", [25] = "sound", [26] = "fs",
	};
	return id < COUNT(names) && names[id] ? names[id] : "?";
}

void machine_print(void)
{
	u64 base, size;

	print("model     %s\n", machine.model ? machine.model : "?");
	print("isa       %s\n", machine.isa ? machine.isa : "?");
	print("memory    %lu MiB at 0x%lx\n", machine.ram_size >> 20, machine.ram_base);
	print("harts     %d, started on hart %lu\n", machine.hart_count, harts[0].id);
	print("timebase  %lu Hz\n", machine.timebase);
	print("bootargs  %s\n", machine.bootargs ? machine.bootargs : "");
	for (int i = 0; i < dt_count; i++) {
		const char *c = dt_string(i, "compatible");
		/* Empty virtio slots are many and say nothing. */
		if (!c || !dt_reg(i, 0, &base, &size) || !size || dt_compatible(i, "virtio,mmio"))
			continue;
		print("device    0x%08lx  %s\n", base, c);
	}
	for (int i = 0; i < machine.virtio_count; i++) {
		struct virtio_slot *v = &machine.virtio[i];
		print("device    0x%08lx  virtio %u: %s (version %u, irq %u)\n", v->base, v->id, virtio_name(v->id),
		      v->version, v->irq);
	}
}

const char *check_fdt(void)
{
	u64 here = (u64)&machine;

	expect("the root has a model", machine.model != NULL, 1);
	expect("cpus has a timebase-frequency", machine.timebase != 0, 1);
	expect("the boot hart has an isa string", machine.isa && starts_with(machine.isa, "rv64"), 1);
	expect("memory holds this kernel", here >= machine.ram_base && here - machine.ram_base < machine.ram_size, 1);
	return NULL;
}
