//! An image that was built with a way in for repairs: sshd for root, and the keys of the provider's metadata alone.

use berth_tests::machine::{self, Machine};
use berth_tests::process::{run, stdout};
use berth_tests::programs;

/// As an operator's key and a stranger's; the machine has both halves, which only a test has.
const KEYS: &str = "for name in own strange; do ssh-keygen -q -t ed25519 -N '' -C $name -f /opt/$name; done
cd /var/lib/cloud/seed/nocloud && printf 'public-keys: [\"%s\"]\\n' \"$(cat /opt/own.pub)\" >>meta-data
BERTH_SSH=keys /opt/packer/provision/50-network.sh";

#[test]
fn with_keys_root_gets_in_by_a_key_of_the_metadata_and_nobody_else() {
    machine::test(async |stack| {
        let text = stdout(&stack.gateway_verb(&["workspace", "user-data", "main"]));
        let mut machine = Machine::fresh(&text, None);
        machine.add("opt", &programs::repository().join("packer"));
        machine.prepare(KEYS);
        machine.boot().await;
        let by = |machine: &Machine, key: &str, user: &str| {
            let options =
                ["-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"];
            let key = format!("/opt/{key}");
            let user = format!("{user}@127.0.0.1");
            machine.run(&[&["ssh", "-i", &key], &options[..], &[&user, "id", "--user", "--name"]].concat())
        };
        assert_eq!(stdout(&by(&machine, "own", "root")), "root");
        for (key, user) in [("strange", "root"), ("own", "claude")] {
            let refused = by(&machine, key, user);
            assert!(!refused.status.success(), "{user} gets in by {key}");
            let said = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(said.contains("Permission denied (publickey)"), "there are other ways in: {said}");
        }
        // A container may set no rules; what the machine would load is loaded here. Who is let in by such a rule,
        // and who is not, is what firewall.rs asks.
        let nft = programs::on_path("nft").expect("nft (of nftables)");
        for rules in ["/usr/share/berth/firewall.nft", "/etc/berth/firewall.d/ssh.nft"] {
            let rules = machine.path(rules);
            let _ = stdout(&run(&nft, &["-f", rules.to_str().expect("a plain path")], ""));
        }
        let admitted = stdout(&run(&nft, &["list", "chain", "inet", "berth", "admitted"], ""));
        assert!(admitted.contains("tcp dport 22 accept"), "{admitted}");
        // It is a box none the less, and stays reachable at its further boots.
        assert_eq!(machine.property("box-agent.service", "ActiveState"), "active");
        machine.reboot().await;
        assert_eq!(stdout(&by(&machine, "own", "root")), "root");
        assert_eq!(machine.says(&["systemctl", "--failed", "--plain", "--no-legend"]), "");
    });
}
