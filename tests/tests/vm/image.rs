//! A machine at Hetzner, from the image to a box: their data source, and a volume that is plugged in while it boots.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::time::Instant;

use berth_tests::machine::vm::{PATIENCE, Vm, says, user_data};
use berth_tests::process::{run, stdout};
use berth_tests::{Terminal, machine, programs, wait};
use serde_json::json;

/// Where machines at Hetzner ask who they are.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

const SERVER: u32 = 424_242;
const VOLUME: u32 = 10_000_001;

/// MiB.
const MEMORY: u32 = 2048;

/// Answers as Hetzner's metadata service, on threads of its own, and tells each path that it was asked for.
fn metadata_service(user_data: String) -> mpsc::Receiver<String> {
    let ip = programs::on_path("ip").expect("ip (of iproute2)");
    let _ = stdout(&run(&ip, &["address", "add", &format!("{METADATA}/32"), "dev", "lo"], ""));
    let listener = TcpListener::bind((METADATA, 80)).expect("the service's port");
    let network = "network-config:\n  config:\n  - mac_address: '52:54:00:12:34:56'\n    name: eth0\n    \
                   subnets:\n    - ipv4: true\n      type: dhcp\n    type: physical\n  version: 1\n";
    let metadata = format!(
        "hostname: box-1\ninstance-id: {SERVER}\nlocal-ipv4: ''\n{network}public-ipv4: 192.0.2.10\npublic-keys: []\n"
    );
    let (told, paths) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            while lines.next().is_some_and(|line| !line.is_empty()) {}
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = match path.as_str() {
                "/hetzner/v1/metadata" => Some(metadata.clone()),
                "/hetzner/v1/metadata/instance-id" => Some(SERVER.to_string()),
                "/hetzner/v1/userdata" => Some(user_data.clone()),
                _ => None,
            };
            let (status, body) = body.map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
            let length = body.len();
            // Whoever hangs up asks again.
            let _ = write!(
                &stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = told.send(path);
        }
    });
    paths
}

#[test]
#[ignore = "long: scripts/image test-vm"]
fn a_machine_at_hetzner_becomes_a_box_with_a_volume_that_comes_late() {
    machine::test(async |stack| {
        let volume = VOLUME.to_string();
        let paths = metadata_service(user_data(&stack, &["--volume-id", &volume, "--new-volume"]));
        let disk = tempfile::NamedTempFile::new_in("/tmp").expect("a file");
        disk.as_file().set_len(256 << 20).expect("a sparse file");
        let drive = format!("file={},format=raw,if=none,id=volume,cache=unsafe", disk.path().display());
        let smbios = format!("type=1,manufacturer=Hetzner,product=vServer,serial={SERVER}");
        let options = ["-smbios", &smbios, "-device", "virtio-scsi-pci,id=scsi", "-drive", &drive];
        let begun = Instant::now();
        let Some(mut vm) = Vm::start(MEMORY, &[], &options) else { return };
        wait::within(PATIENCE, "cloud-init to ask for user-data", async || {
            paths.try_iter().any(|path| path == "/hetzner/v1/userdata").then_some(())
        })
        .await;
        println!("    user-data was asked for after {:?}", begun.elapsed());
        // As Hetzner's volumes are seen.
        vm.plug(&json!({
            "driver": "scsi-hd", "bus": "scsi.0", "drive": "volume", "vendor": "HC", "product": "Volume", "serial": volume,
        }));
        let client = vm.online(&stack).await;
        println!("    online after {:?}", begun.elapsed());
        let session = client.create_session("work").await;
        let mut terminal = Terminal::open_again(&client, &session, PATIENCE).await;
        terminal.type_text("echo $USER-$((40+2))\r").await;
        terminal.read_until("claude-42").await;
        let source = says(&client, "findmnt --noheadings --output SOURCE,FSTYPE /mnt/workspace").await;
        assert!(source.starts_with("/dev/sd") && source.ends_with("ext4"), "{source}");
        assert_eq!(says(&client, "hostname").await, "box-1");
        // Nobody but root asks the service, and what it says of the token is of no use any more.
        let asked =
            says(&client, "timeout 20 bash -c ': </dev/tcp/169.254.169.254/80' 2>&1 || echo refused").await;
        assert!(asked.contains("refused"), "{asked}");
        assert_eq!(says(&client, "systemctl --failed --plain --no-legend").await, "");
        let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).expect("the store");
        let phases = wait::within(PATIENCE, "the phases of the boot", async || {
            let sql = "SELECT payload FROM events WHERE kind = 'telemetry' ORDER BY rowid DESC LIMIT 1";
            let payload: String = store.query_row(sql, [], |row| row.get(0)).ok()?;
            let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            let phases = payload["start_phases"].clone();
            phases.as_array()?.iter().any(|phase| phase["name"] == "ready").then_some(phases)
        })
        .await;
        println!("    {phases}");
        assert!(
            phases.as_array().is_some_and(|all| all.iter().any(|phase| phase["name"] == "kernel")),
            "{phases}"
        );
    });
}
