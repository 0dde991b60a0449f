//! The real template: Packer, its Hetzner builder, and every step over ssh on a machine of the test's. Only the API is a
//! stand-in, and Debian's packages are there already, since the machine has no network.

use std::path::Path;
use std::process::Output;

use berth_tests::machine::hetzner::Hetzner;
use berth_tests::machine::{self, Machine, bundle};
use berth_tests::process::{run_with, stdout};
use berth_tests::programs;

const SSH_PORT: &str = "2222";

/// Lets people with a key in, as the base image's sshd does. Its own key isn't where a build would remove it.
fn serve_ssh(machine: &Machine) {
    let _ = machine.says(&["mkdir", "-p", "/run/sshd", "/root/.ssh"]);
    let _ = machine.says(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/hostkey"]);
    let port = format!("Port={SSH_PORT}");
    let _ = machine.says(&["/usr/sbin/sshd", "-o", &port, "-o", "HostKey=/run/hostkey"]);
}

fn build(packer: &Path, hetzner: &Hetzner, bundle: &Path) -> Output {
    let template = programs::repository().join("packer/box.pkr.hcl");
    let variables = [
        format!("bundle={}", bundle.display()),
        format!("hcloud_endpoint={}", hetzner.endpoint()),
        format!("ssh_port={SSH_PORT}"),
        "hcloud_token=token-of-the-test".to_owned(),
        "snapshot_name=berth-box-test".to_owned(),
    ];
    let mut arguments = vec!["build", "-color=false"];
    arguments.extend(variables.iter().flat_map(|variable| ["-var", variable.as_str()]));
    arguments.push(template.to_str().expect("a plain path"));
    run_with(packer, &arguments, &[("CHECKPOINT_DISABLE".as_ref(), "1".as_ref())])
}

fn asked(hetzner: &Hetzner) -> Vec<String> {
    hetzner.asked().into_iter().map(|(question, _)| question).collect()
}

#[test]
fn packer_makes_a_snapshot_and_none_of_a_system_with_a_secret() {
    let Some(packer) = programs::on_path("packer") else {
        eprintln!("skipped: there is no packer here (Debian 12 has one)");
        return;
    };
    machine::test(async |_| {
        let mut machine = Machine::plain();
        // Nothing can be fetched, and need not be.
        machine.put("etc/apt/sources.list", "");
        machine.boot().await;
        serve_ssh(&machine);
        let keys = machine.path("/root/.ssh/authorized_keys");
        let hetzner = Hetzner::start(move |key| std::fs::write(&keys, format!("{key}\n")).expect("a key"));
        let bundle = bundle();
        let archive = bundle.path().join("berth.tar.gz");

        // Whatever an operator's script leaves behind is found before there is a snapshot.
        let forgotten = machine.run_with(&["tee", "/opt/forgotten"], &["gh", "p_", &"a".repeat(36)].concat());
        let _ = stdout(&forgotten);
        let failed = build(&packer, &hetzner, &archive);
        let said = String::from_utf8_lossy(&failed.stdout).into_owned();
        assert!(!failed.status.success(), "{said}");
        assert!(said.contains("/opt/forgotten: a token"), "{said}");
        let questions = asked(&hetzner);
        assert!(!questions.iter().any(|question| question.ends_with("create_image")), "{questions:?}");
        assert!(questions.contains(&"DELETE /servers/42".to_owned()), "{questions:?}");

        let _ = machine.says(&["rm", "/opt/forgotten"]);
        let built = build(&packer, &hetzner, &archive);
        let said = String::from_utf8_lossy(&built.stdout).into_owned();
        assert!(built.status.success(), "{said}");
        for step in ["10-packages.sh", "40-berth.sh", "70-extra.sh", "leak-check: nothing found in /"] {
            assert!(said.contains(step), "{step} is not in {said}");
        }
        let questions = hetzner.asked();
        let order: Vec<_> = questions.iter().map(|(question, _)| question.as_str()).collect();
        assert_eq!(
            order,
            [
                "POST /ssh_keys",
                "POST /servers",
                "POST /servers/42/actions/shutdown",
                "POST /servers/42/actions/create_image",
                "DELETE /servers/42",
                "DELETE /ssh_keys/7"
            ]
        );
        let image = &questions[3].1;
        assert_eq!(
            (&image["description"], &image["labels"]["berth"]),
            (&"berth-box-test".into(), &"box".into())
        );
        // Going down, the server would leave a seed after the check.
        assert_eq!(machine.property("systemd-random-seed.service", "ExecStop"), "");
        // The way in that the build took is not in the image.
        assert!(!machine.run(&["test", "-e", "/root/.ssh/authorized_keys"]).status.success());
    });
}
