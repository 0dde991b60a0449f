//! How long this boot took around the agent's own start: the kernel, cloud-init, the enrolment, and all until the box was
//! ready. systemd has the times; they are kept for as long as the machine runs, since a restart of the agent changes
//! what systemd knows.

use std::path::Path;

use berth_daemon::exit::chain;
use berth_daemon::state::write_private;
use berth_protocol::event::StartPhase;

use crate::host::command::Invocation;

/// A machine that systemd runs has this directory.
const SYSTEMD: &str = "/run/systemd/system";

/// So has a container: its kernel began before it.
const CONTAINER: &str = "/run/systemd/container";

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// The name of what is kept, in the runtime directory.
const KEPT: &str = "boot.json";

/// The phases of this boot, once the box is ready. Empty where no systemd has started the agent.
pub async fn phases(runtime_dir: &Path) -> Option<Vec<StartPhase>> {
    if !Path::new(SYSTEMD).is_dir() || std::env::var_os("INVOCATION_ID").is_none() {
        return Some(Vec::new());
    }
    let kept = runtime_dir.join(KEPT);
    if let Some(phases) = std::fs::read(&kept).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        return Some(phases);
    }
    let ask = async |arguments: &[&str]| Invocation::new(SYSTEMCTL, arguments).run().await;
    let said = async {
        let machine = ask(&["show", "--property=UserspaceTimestampMonotonic"]).await?;
        let units = ask(&[
            "show",
            "--property=Id,ActiveEnterTimestampMonotonic,ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic",
            "cloud-config.target",
            "box-provision.service",
            "box-agent.service",
        ])
        .await?;
        Ok::<_, crate::host::command::CommandError>((machine, units))
    };
    let (machine, units) = match said.await {
        Ok(said) => said,
        Err(error) => {
            tracing::debug!(error = chain(&error), "how long the boot took is not known");
            return Some(Vec::new());
        }
    };
    let phases = read(&machine, &units, Path::new(CONTAINER).exists())?;
    if let Err(error) = write_private(&kept, &serde_json::to_vec(&phases).unwrap_or_default()) {
        tracing::debug!(error = chain(&error), "the times of this boot are not kept");
    }
    Some(phases)
}

/// The phases by systemd's words; `None` while the agent isn't ready.
fn read(machine: &str, units: &str, container: bool) -> Option<Vec<StartPhase>> {
    // Microseconds since the kernel began; 0 is never.
    let value = |block: &str, property: &str| -> Option<u64> {
        let line = block.lines().find_map(|line| line.strip_prefix(property)?.strip_prefix('='))?;
        line.parse().ok().filter(|micros| *micros > 0)
    };
    let of = |unit: &str, property: &str| {
        let block =
            units.split("\n\n").find(|block| block.lines().any(|line| line == format!("Id={unit}")))?;
        value(block, property)
    };
    let userspace = value(machine, "UserspaceTimestampMonotonic")?;
    let ready = of("box-agent.service", "ActiveEnterTimestampMonotonic")?;
    let mut phases = Vec::new();
    let mut push = |name: &str, from: Option<u64>, to: Option<u64>| {
        if let Some(micros) = to.zip(from).and_then(|(to, from)| to.checked_sub(from)) {
            phases.push(StartPhase { name: name.to_owned(), millis: micros / 1000 });
        }
    };
    let began = if container { userspace } else { 0 };
    push("kernel", (!container).then_some(0), Some(userspace));
    push("cloud-init", Some(userspace), of("cloud-config.target", "ActiveEnterTimestampMonotonic"));
    let enrolment = |property: &str| of("box-provision.service", property);
    push(
        "enrolment",
        enrolment("ExecMainStartTimestampMonotonic"),
        enrolment("ExecMainExitTimestampMonotonic"),
    );
    push("ready", Some(began), Some(ready));
    Some(phases)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &str = "Id=cloud-config.target\nActiveEnterTimestampMonotonic=6000000\n\n\
        ExecMainStartTimestampMonotonic=6100000\nExecMainExitTimestampMonotonic=6350000\n\
        Id=box-provision.service\nActiveEnterTimestampMonotonic=0\n\n\
        Id=box-agent.service\nExecMainStartTimestampMonotonic=6400000\nExecMainExitTimestampMonotonic=0\n\
        ActiveEnterTimestampMonotonic=7250000\n";

    fn named(container: bool, units: &str) -> Option<Vec<(String, u64)>> {
        let phases = read("UserspaceTimestampMonotonic=2500000\n", units, container)?;
        Some(phases.into_iter().map(|phase| (phase.name, phase.millis)).collect())
    }

    #[test]
    fn a_boot_is_told_in_phases() {
        let all = [("kernel", 2500), ("cloud-init", 3500), ("enrolment", 250), ("ready", 7250)];
        let all = all.map(|(name, millis)| (name.to_owned(), millis));
        assert_eq!(named(false, UNITS).unwrap(), all);
        let container = named(true, UNITS).unwrap();
        assert_eq!(container, [all[1].clone(), all[2].clone(), ("ready".to_owned(), 4750)]);
    }

    #[test]
    fn what_did_not_happen_in_this_boot_has_no_time() {
        let units = UNITS.replace("6100000", "0").replace("6350000", "0").replace("6000000", "0");
        let names: Vec<_> = named(false, &units).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["kernel", "ready"]);
        assert_eq!(named(false, &UNITS.replace("=7250000", "=0")), None, "it isn't ready yet");
    }
}
