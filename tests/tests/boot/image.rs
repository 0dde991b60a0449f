//! Berth's image: a fresh machine becomes a box by its user-data alone, and what an image must not hold is found.

use berth_tests::machine::{self, Disk, Machine, image};
use berth_tests::process::{failure, run, stdout};
use berth_tests::{Client, Stack, Terminal, programs, wait};

/// Hetzner's number of the volume.
const ID: u32 = 4711;

/// Where cloud-init puts what the machine is to become.
const PROVISION: &str = "/var/lib/box-agent/provision.json";

/// User-data, as an operator gets it.
fn user_data(stack: &Stack, more: &[&str]) -> String {
    stdout(&stack.gateway_verb(&[&["workspace", "user-data", "main"], more].concat()))
}

/// The token in it, or a part of any other.
fn token(user_data: &str) -> &str {
    let (_, rest) = user_data.split_once("\"token\": \"").expect("a token");
    rest.split_once('"').expect("its end").0
}

#[test]
fn a_fresh_machine_becomes_a_box_by_its_user_data_and_forgets_it() {
    machine::test(async |stack| {
        let text = user_data(&stack, &["--volume-id", &ID.to_string(), "--new-volume"]);
        let disk = Disk::blank();
        let mut machine = Machine::fresh(&text, Some(&disk));
        machine.start();
        wait::within(machine::BOOT, "the box to wait for its volume", async || {
            machine
                .try_property("box-agent.service", "StatusText")?
                .contains("waiting for hcloud:4711")
                .then_some(())
        })
        .await;
        machine.attach(&disk, ID);
        let client = stack.client().await;
        wait::within(machine::BOOT, "the box to be online", async || online(&client).await).await;
        let session = client.running_session("work").await;
        let mut terminal = Terminal::open(&client, &session).await;
        terminal.type_text("echo $USER-$((40+2))\r").await;
        terminal.read_until("claude-42").await;
        machine.wait_for_boot().await;
        machine.prints_phases();
        // What user-data brought is read by everybody who asks the agent, and nobody else came with it.
        let status = machine.run_as("claude", &["box-agent", "status"]);
        assert!(status.status.success(), "{status:?}");
        assert!(!machine.run(&["id", "debian"]).status.success(), "there is a user who may become root");

        is_forgotten(&machine, token(&text)).await;
        let phases = boot_phases(&stack).await;
        println!("    {phases:?}");
        for name in ["cloud-init", "enrolment", "ready", "volume", "layout", "ttyd", "sessions"] {
            assert!(phases.iter().any(|(phase, _)| phase == name), "{name} is not in {phases:?}");
        }
        is_well_formed(&machine, &text);
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
        no_circles(&machine);

        machine.reboot().await;
        client.wait_for_box("online").await;
        client.wait_for_session(&session, "running").await;
        let mut terminal = Terminal::open_again(&client, &session, wait::PATIENCE).await;
        terminal.type_text("echo again-$((40+2))\r").await;
        terminal.read_until("again-42").await;
        assert_eq!(machine.property("cloud-final.service", "ActiveState"), "inactive");
        assert_eq!(machine.property("box-provision.service", "ConditionResult"), "no");
    });
}

async fn online(client: &Client) -> Option<()> {
    let workspaces = client.get("/workspaces").await;
    (workspaces["workspaces"][0]["box"]["state"] == "online").then_some(())
}

/// systemd had to leave nothing out to begin the boot. In a container it says so nowhere but to whoever asks it for the
/// order again.
fn no_circles(machine: &Machine) {
    let verified =
        machine.run(&["systemd-analyze", "--man=no", "verify", "default.target", "cloud-init.target"]);
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(!said.contains("cycle"), "{said}");
}

/// The secret is nowhere in the machine any more.
async fn is_forgotten(machine: &Machine, token: &str) {
    wait::until("cloud-init to be over and its files gone", async || {
        machine.run(&["test", "-e", "/etc/cloud/cloud-init.disabled"]).status.success().then_some(())?;
        machine.property("box-forget.service", "ActiveState").eq("inactive").then_some(())
    })
    .await;
    assert!(!machine.run(&["test", "-e", PROVISION]).status.success());
    // What the agent's state and the journal have of it is looked at, too.
    let places = ["/etc", "/var", "/root", "/run", "/home", "/tmp"];
    let found = machine.run(
        &[
            &["grep", "--recursive", "--files-with-matches", "--text", "--fixed-strings", "-e", token],
            &places[..],
        ]
        .concat(),
    );
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

/// The phases that the gateway was told.
async fn boot_phases(stack: &Stack) -> Vec<(String, u64)> {
    let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).expect("the store");
    wait::until("telemetry with the phases of the boot", async || {
        let sql = "SELECT payload FROM events WHERE kind = 'telemetry' ORDER BY rowid DESC LIMIT 1";
        let payload: String = store.query_row(sql, [], |row| row.get(0)).ok()?;
        let payload: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
        let phases = payload["start_phases"].as_array()?.iter();
        let phases: Vec<_> = phases
            .filter_map(|phase| Some((phase["name"].as_str()?.to_owned(), phase["millis"].as_u64()?)))
            .collect();
        phases.iter().any(|(name, _)| name == "ready").then_some(phases)
    })
    .await
}

/// cloud-init's own judgement of user-data, and systemd's of the image's units.
fn is_well_formed(machine: &Machine, user_data: &str) {
    let _ = stdout(&machine.run_with(&["tee", "/run/user-data"], user_data));
    let judged = machine.run(&["cloud-init", "schema", "--config-file", "/run/user-data"]);
    assert!(judged.status.success(), "{judged:?}");
    let _ = stdout(
        &machine.run_with(&["tee", "/run/user-data"], &user_data.replace("write_files", "write_flies")),
    );
    let judged = machine.run(&["cloud-init", "schema", "--config-file", "/run/user-data"]);
    assert!(!judged.status.success(), "the schema takes anything: {judged:?}");
    let units = ["box-provision.service", "box-forget.service", "berth-firewall.service"];
    let verified = machine.run(&[&["systemd-analyze", "--man=no", "verify"], &units[..]].concat());
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
}

#[test]
fn a_machine_whose_user_data_is_wrong_says_so_and_can_be_mended() {
    machine::test(async |mut stack| {
        let mut machine = Machine::fresh("#cloud-config\nhostname: nobody\n", None);
        machine.boot().await;
        let missing = "this machine was not told what to become";
        let console = machine.console();
        assert!(console.contains(missing), "{console}");
        assert!(machine.journal("box-provision.service").contains(missing));
        assert_eq!(machine.property("box-provision.service", "ActiveState"), "failed");
        assert_eq!(machine.property("box-agent.service", "ConditionResult"), "no");
        // No way in but what was configured, which here is none.
        let listening =
            machine.says(&["ss", "--listening", "--tcp", "--numeric", "--no-header", "--processes"]);
        assert!(!listening.contains("sshd"), "{listening}");
        for unit in
            ["ssh.service", "ssh.socket", "sshd-unix-local.socket", "sshd-vsock.socket", "ttyd.service"]
        {
            assert_eq!(machine.property(unit, "LoadState"), "masked", "{unit}");
        }

        // A token that was used is told, too; nothing tries it for ever.
        let spent = user_data(&stack, &[]);
        let given = |token: &str| {
            let _ = stdout(&machine.run_with(&["tee", PROVISION], &format!("{{\"token\": \"{token}\"}}")));
            machine.run(&["systemctl", "start", "box-provision.service"])
        };
        let store = rusqlite::Connection::open(stack.path("gateway/gateway.db")).expect("the store");
        store.execute("DELETE FROM enrollment_tokens", []).expect("the token is gone");
        assert!(!given(token(&spent)).status.success());
        let refused = "the enrolment token is unknown or was used before";
        assert!(machine.journal("box-provision.service").contains(refused));
        assert_eq!(machine.property("box-provision.service", "ActiveState"), "failed");

        // One that is good makes it a box, agent and all, as soon as the gateway can be reached.
        let good = user_data(&stack, &[]);
        stack.gateway.stop();
        assert!(!given(token(&good)).status.success());
        assert!(machine.journal("box-provision.service").contains("failed to reach the gateway"));
        stack.gateway.start();
        stack.wait_for_gateway().await;
        let client = stack.client().await;
        wait::within(machine::BOOT, "the box to be online", async || online(&client).await).await;
        is_forgotten(&machine, token(&good)).await;
    });
}

/// Runs a script in an overlay of the image, in which nothing lasts; `$1` is the place.
fn in_overlay(script: &str) -> std::process::Output {
    let mount = "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir upper work root && \
        mount -t overlay overlay -o \"lowerdir=$1,upperdir=upper,workdir=work\" root && shift && set -- /mnt/root \"$@\"";
    let leak_check = programs::repository().join("packer/leak-check");
    let (tree, leak_check) = (image(), leak_check.to_str().expect("a plain path").to_owned());
    let tree = tree.canonicalize().expect("the image");
    let script = format!("set -eu; {mount}; {script}");
    let unshare = programs::on_path("unshare").expect("unshare (of util-linux)");
    let tree = tree.to_str().expect("a plain path");
    run(&unshare, &["--mount", "sh", "-c", &script, "sh", tree, &leak_check], "")
}

#[test]
fn the_image_holds_no_secret_and_a_planted_one_is_found() {
    machine::test(async |_| {
        let clean = in_overlay("exec \"$2\" \"$1\"");
        assert!(stdout(&clean).contains("nothing found"), "{clean:?}");
        // As a machine that was booted leaves them, and a careless build.
        let planted = in_overlay(
            "key=$(head -c 90 /dev/urandom | base64 -w 0) && \
             printf '%s BEGIN PRIVATE KEY%s\\n%s\\n' ----- ----- \"$key\" | sed 's/- BEGIN/-BEGIN/' >\"$1/usr/share/forgotten\" && echo 0123 >\"$1/etc/machine-id\" && \
             mkdir -p \"$1/var/lib/tailscale\" && echo state >\"$1/var/lib/tailscale/tailscaled.state\" && \
             exec \"$2\" \"$1\"",
        );
        let found = failure(&planted, 1);
        for finding in [
            "/usr/share/forgotten: a private key",
            "/etc/machine-id: ",
            "/tailscaled.state: state of Tailscale",
        ] {
            assert!(found.contains(finding), "{finding} is not in {found}");
        }
    });
}

/// Runs the step for what comes from elsewhere with this list, then a script in the image.
fn from_elsewhere(list: &str, then: &str) -> std::process::Output {
    in_overlay(&format!(
        "mkdir -p \"$1/run/berth\" && cp -R \"${{2%/*}}\" \"$1/run/berth/packer\" && mount --rbind /dev \"$1/dev\" && mount -t proc proc \"$1/proc\" && \
         cd \"$1/run\" && mkdir -p thing-1/bin && printf '#!/bin/sh\\necho made\\n' >tool && chmod +x tool && \
         cp tool thing-1/bin/thing && tar --create --file thing.tar thing-1 && \
         tool=$(sha256sum <tool) thing=$(sha256sum <thing.tar) && tool=${{tool%% *}} thing=${{thing%% *}} && \
         printf '%s\\n' \"{list}\" >list && \
         if chroot \"$1\" env BERTH_ELSEWHERE=/run/list /run/berth/packer/provision/30-elsewhere.sh; then :; \
         else code=$?; find \"$1/usr/local/bin\" -type f >&2; exit $code; fi && chroot \"$1\" {then}"
    ))
}

#[test]
fn what_comes_from_elsewhere_has_the_checksum_that_was_vouched_for() {
    machine::test(async |_| {
        let good = from_elsewhere(
            "# a comment\ntool program file:///run/tool $tool\nthing archive file:///run/thing.tar $thing",
            "sh -c 'tool && thing && cat /usr/share/berth/elsewhere.txt'",
        );
        let said = stdout(&good);
        assert!(said.contains("made\nmade\ntool file:///run/tool "), "{said}");
        for (list, problem) in [
            ("tool program file:///run/tool", "tool has no checksum"),
            ("tool program file:///run/tool $tool\nlate program file:///run/tool", "late has no checksum"),
            ("tool program file:///run/tool $thing", "and $thing was expected"),
            ("tool program file:///run/tool sha256", "is no SHA-256"),
            ("tool program http://127.0.0.1/tool $tool", "neither an https nor a file URL"),
            ("../tool program file:///run/tool $tool", "is no name"),
            ("tool script file:///run/tool $tool", "neither deb, program nor archive"),
        ] {
            let refused = from_elsewhere(list, "true");
            let said = failure(&refused, 1);
            assert!(
                said.contains(problem.trim_end_matches("$thing was expected")),
                "{problem} is not in {said}"
            );
            // Not even what came before it on the list is installed.
            assert!(!said.contains("/usr/local/bin/"), "{said}");
        }
    });
}

#[test]
fn the_image_says_what_it_is_made_of() {
    machine::test(async |_| {
        let text = std::fs::read_to_string(image().join("usr/share/berth/image.json")).expect("a manifest");
        let manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(manifest["berth"].as_str().is_some_and(|berth| berth.starts_with("box-agent ")), "{text}");
        let packages = manifest["packages"].as_array().expect("packages");
        let version = |name: &str| {
            let package = packages.iter().find(|package| package["name"] == name);
            package
                .and_then(|package| package["version"].as_str())
                .unwrap_or_else(|| panic!("{name}"))
                .to_owned()
        };
        assert!(version("ttyd").starts_with("1.7."), "{}", version("ttyd"));
        let restic = version("restic");
        assert!(restic.starts_with("0.18") || restic.starts_with("0.19"), "{restic}");
        // Nothing else can come from where ttyd came from.
        assert!(
            !std::fs::read_dir(image().join("etc/apt/sources.list.d"))
                .is_ok_and(|mut list| list.next().is_some())
        );
        let sources = std::fs::read_to_string(image().join("etc/apt/sources.list")).unwrap_or_default();
        assert!(!sources.contains("sid"), "{sources}");
    });
}
