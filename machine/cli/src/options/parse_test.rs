use super::*;
use crate::options::{Drive, Loader, Port};
use proptest::prelude::*;
use std::path::PathBuf;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn run(line: &str) -> Options {
    match command("ambidex", &words(&format!("riscv64 {line}"))) {
        Ok(Command::Run(o)) => *o,
        other => panic!("{line}: {other:?}"),
    }
}

fn error_of(program: &str, line: &str) -> String {
    match command(program, &words(line)) {
        Err(Stop::Error(e)) => e,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    error_of("ambidex", &format!("riscv64 {line}"))
}

fn printed(line: &str) -> String {
    match command("ambidex", &words(line)) {
        Ok(Command::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn commands() {
    assert!(matches!(command("ambidex", &[]), Ok(Command::Demo(_))));
    assert_eq!(command("ambidex", &words("accel")), Ok(Command::Accel));
    assert!(printed("--version").starts_with("ambidex 0."));
    assert!(printed("--help").contains("-kernel FILE"));
    assert!(printed("riscv64 -help").contains("-kernel FILE"));
    assert!(printed("riscv64 -M help").contains("spike"));
    assert!(printed("riscv64 -kernel x -cpu help").contains("zbb"));
    assert!(printed("riscv64 -device help").contains("virtio-rng-device"));
    assert!(printed("riscv64 -device virtio-blk-device,help").contains("num-queues"));
    assert!(printed("riscv64 -d help").contains("guest_errors"));
    assert!(
        matches!(command("/usr/bin/qemu-system-riscv64", &words("-kernel x")), Ok(Command::Run(o)) if o.arch == Arch::Riscv64)
    );
    let Ok(Command::Demo(o)) = command("ambidex", &words("demo -smp 4 -append demo.shell")) else {
        panic!()
    };
    assert_eq!((o.cpus, o.append.as_deref()), (4, Some("demo.shell")));
}

#[test]
fn a_wrong_command_says_what_was_meant() {
    assert_eq!(
        error_of("ambidex", "risc64"),
        "unknown command 'risc64': did you mean 'riscv64'?"
    );
    assert_eq!(
        error_of("ambidex", "aarch64"),
        "aarch64 guests cannot be run yet; those that can: riscv64."
    );
    assert_eq!(
        error_of("ambidex", "-kernel x"),
        "say first which kind of guest: ambidex riscv64 -kernel x"
    );
    assert!(error_of("ambidex", "frobnicate").contains("--help"));
    assert!(error_of("qemu-system-sparc", "-kernel x").contains("unknown command 'sparc'"));
    assert!(error_of("ambidex", "demo -kernel x").contains("ambidex riscv64"));
}

#[test]
fn a_usual_line() {
    let o = run(
        "-M virt -cpu rv64,+zicond -m 1G -smp 4 -nographic -no-reboot -nic none -kernel Image -initrd i.gz \
        -append console=ttyS0 -bios none -drive file=d.img,format=raw,if=none,id=disk -device virtio-blk-device,drive=disk \
        -device virtio-rng-device --accel=tcg,tier=0,code-size=64M -icount shift=1,sleep=off",
    );
    assert_eq!((o.memory, o.cpus, o.no_reboot), (Some(1 << 30), 4, true));
    assert_eq!(
        (o.kernel, o.initrd),
        (Some(PathBuf::from("Image")), Some(PathBuf::from("i.gz")))
    );
    assert_eq!(
        (o.append.as_deref(), o.firmware),
        (Some("console=ttyS0"), Firmware::None)
    );
    assert_eq!(
        (o.accel.tier, o.accel.code_size, o.icount),
        (Some(0), Some(64 << 20), Some(1))
    );
    assert_eq!(
        o.drives,
        [Drive {
            id: "disk".into(),
            file: "d.img".into(),
            attach: DriveUse::None,
            read_only: false,
            serial: None,
            unit: None
        }]
    );
    assert_eq!(
        o.devices,
        [
            DeviceOption::Blk {
                drive: "disk".into(),
                serial: None,
                queues: None,
                read_only: None
            },
            DeviceOption::Rng
        ]
    );
    assert!(o.cpu.is_some());
}

#[test]
fn unknown_options() {
    assert_eq!(
        error("-appendd x"),
        "unknown option -appendd: did you mean -append?"
    );
    assert_eq!(
        error("--kernal x"),
        "unknown option -kernal: did you mean -kernel?"
    );
    assert_eq!(
        error("-frobnicate"),
        "unknown option -frobnicate; 'ambidex riscv64 --help' lists what there is."
    );
    assert!(error("-gdb tcp::1234").contains("no debugger"));
    assert!(error("-S").contains("no debugger"));
    assert!(error("-enable-kvm").contains("-accel tcg"));
    assert!(error("disk.img").contains("-drive file=disk.img"));
    assert_eq!(error("-kernel"), "-kernel needs a value: -kernel FILE");
    assert_eq!(error("-nographic=1"), "-nographic takes no value.");
}

#[test]
fn wrong_values() {
    for (line, says) in [
        ("-m 0", "some memory"),
        ("-m lots", "a size such as"),
        ("-m 1001K", "pages"),
        ("-smp 0", "a number from 1 to 512"),
        ("-smp 4,cores=3", "sockets × cores × threads is 3"),
        ("-smp 2,maxcpus=4", "maxcpus"),
        ("-M vrt", "did you mean 'virt'?"),
        ("-M virt,aia=aplic", "it can be none"),
        ("-M virt,acpi=on", "no acpi"),
        ("-cpu rv65", "unknown riscv64 CPU model"),
        ("-cpu rv64,+zzz", "unknown riscv64 CPU feature"),
        ("-accel kvm", "KVM cannot run riscv64"),
        ("-accel tcg,tier=7", "from 0 to 1"),
        ("-accel tcg,code-size=1K", "between 1M and 1G"),
        ("-accel hvf", "it can be tcg, kvm"),
        ("-icount 11", "from 0 to 10"),
        ("-drive format=raw", "file=FILE"),
        ("-drive file=x,format=qcow2", "it can be raw"),
        ("-drive file=x,if=ide", "it can be virtio, none, pflash"),
        (
            "-drive file=a,id=d -drive file=b,id=d",
            "two drives called 'd'",
        ),
        ("-device virtio-blk-device", "drive=ID"),
        ("-device virtio-blk-pci,drive=d", "use virtio-blk-device"),
        (
            "-device virtio-rng-devise",
            "did you mean 'virtio-rng-device'?",
        ),
        ("-device e1000", "unknown device"),
        (
            "-device virtconsole,chardev=c",
            "virtio-serial-device before it",
        ),
        ("-device loader", "file="),
        ("-device loader,addr=0x80000000,data=1", "data-len"),
        ("-serial telnet:localhost:1", "no 'telnet' yet"),
        ("-serial tcp:1234", "HOST:PORT"),
        ("-serial tcp:localhost:99999", "port number"),
        ("-serial stdioo", "did you mean 'stdio'?"),
        ("-serial unix:/s,server=on,wait=on", "it can be off"),
        ("-chardev null", "needs id"),
        ("-chardev socket,id=a", "either path=FILE or port=N"),
        ("-nic user", "'none' only"),
        ("-display gtk", "no screen"),
        ("-d nonsense", "unknown item"),
        ("-signature-granularity 3", "is not 1, 2, 4, 8 or 16"),
    ] {
        let e = error(line);
        assert!(e.contains(says), "{line}: {e}");
    }
}

#[test]
fn things_that_do_not_fit_together() {
    for (line, says) in [
        ("", "nothing to run"),
        ("-initrd x -bios b", "-initrd needs a -kernel"),
        ("-append x -bios b", "-append needs a -kernel"),
        ("-kernel k -signature s", "-M spike"),
        (
            "-kernel k -M spike -drive file=x",
            "spike board has neither",
        ),
        (
            "-kernel k -device virtio-blk-device,drive=d",
            "no -drive with id=d",
        ),
        (
            "-kernel k -drive file=x,id=d -device virtio-blk-device,drive=d",
            "attached twice",
        ),
        ("-kernel k -serial chardev:c", "no -chardev with id=c"),
        ("-kernel k -serial stdio -serial mon:stdio", "used twice"),
        (
            "-kernel k -chardev stdio,id=c -device virtio-serial-device -device virtconsole,chardev=c",
            "used twice",
        ),
        (
            "-kernel k -chardev null,id=c -serial chardev:c -serial chardev:c",
            "'c' is used twice",
        ),
        (
            "-kernel k -pflash a -pflash b -pflash c",
            "two flash memories",
        ),
    ] {
        let e = error(line);
        assert!(e.contains(says), "{line}: {e}");
    }
}

#[test]
fn consoles() {
    let own = |line: &str| match &run(&format!("-kernel k -serial {line}")).serials[..] {
        [SerialSpec::Own(spec)] => spec.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(own("mon:stdio"), CharSpec::Stdio);
    assert_eq!(own("none"), CharSpec::Null);
    assert_eq!(
        own("file:a:b"),
        CharSpec::File {
            output: "a:b".into(),
            input: None
        }
    );
    assert_eq!(
        own("unix:/s,server,nowait"),
        CharSpec::Unix {
            path: "/s".into(),
            server: true
        }
    );
    assert_eq!(
        own("unix:/s,server=on"),
        CharSpec::Unix {
            path: "/s".into(),
            server: true
        }
    );
    let tcp = |host: &str, server| CharSpec::Tcp {
        host: host.into(),
        port: 7,
        server,
    };
    assert_eq!(own("tcp:localhost:7"), tcp("localhost", false));
    assert_eq!(own("tcp::7,server=on,wait=off"), tcp("", true));
    assert_eq!(own("tcp:[::1]:7"), tcp("[::1]", false));

    let o = run(
        "-kernel k -serial null -chardev stdio,id=c -device virtio-serial-device -device virtconsole,chardev=c,name=n",
    );
    assert_eq!(
        o.devices,
        [DeviceOption::Console {
            ports: vec![Port {
                chardev: "c".into(),
                name: Some("n".into()),
                console: true
            }]
        }]
    );
}

#[test]
fn loaders() {
    let o = run(
        "-device loader,file=a.elf -device loader,file=b,addr=0x80000000,force-raw=on \
        -device loader,addr=16,data=0xff,data-len=1 -device loader,addr=0x80000000,cpu-num=1",
    );
    assert_eq!(
        o.loaders,
        [
            Loader::File {
                file: "a.elf".into(),
                addr: None,
                cpu: None,
                raw: false
            },
            Loader::File {
                file: "b".into(),
                addr: Some(0x8000_0000),
                cpu: None,
                raw: true
            },
            Loader::Data {
                addr: 16,
                data: 255,
                len: 1
            },
            Loader::Start {
                addr: 0x8000_0000,
                cpu: 1
            },
        ]
    );
}

#[test]
fn later_options_win() {
    let o = run(
        "-kernel a -kernel b -m 1G -m 512 -accel tcg,tier=0 -accel tcg,count=on -M spike -M virt",
    );
    assert_eq!((o.kernel, o.memory), (Some("b".into()), Some(512 << 20)));
    assert_eq!(
        (o.accel.tier, o.accel.count, o.board),
        (Some(0), true, Board::Virt)
    );
}

proptest! {
    #[test]
    fn any_line_is_understood_or_refused_with_a_sentence(
        args in prop::collection::vec(prop_oneof![
            prop::sample::select(SPECS.iter().map(|s| format!("-{}", s.name)).collect::<Vec<_>>()),
            "[-a-z0-9=,:]{0,20}",
        ], 0..8)
    ) {
        let args: Vec<String> = std::iter::once("riscv64".to_owned()).chain(args).collect();
        if let Err(Stop::Error(e)) = command("ambidex", &args) {
            prop_assert!(e.len() > 10);
        }
    }
}
