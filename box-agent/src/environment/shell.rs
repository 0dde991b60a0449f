//! Variables as a file that a shell reads, and back: `export NAME='value'`, where nothing in a value is ever code.

use std::collections::BTreeMap;

use berth_protocol::environment::{Secret, VariableName};

/// The file that sets these variables.
#[must_use]
pub fn write(variables: &BTreeMap<VariableName, Secret>) -> Vec<u8> {
    let mut file = Vec::new();
    for (name, value) in variables {
        file.extend_from_slice(format!("export {name}='").as_bytes());
        for byte in value.expose() {
            match byte {
                // The quotes end, one is written by itself, and they begin again.
                b'\'' => file.extend_from_slice(b"'\\''"),
                byte => file.push(*byte),
            }
        }
        file.extend_from_slice(b"'\n");
    }
    file
}

/// The variables that a file sets which [`write`] has written; `None` for any other. It is the user's own, and may
/// have become anything.
#[must_use]
pub fn read(file: &[u8]) -> Option<BTreeMap<VariableName, Secret>> {
    let mut variables = BTreeMap::new();
    let mut rest = file;
    while !rest.is_empty() {
        rest = rest.strip_prefix(b"export ")?;
        let end = rest.windows(2).position(|pair| pair == b"='")?;
        let name = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        rest = &rest[end + 2..];
        let mut value = Vec::new();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\'')?;
            value.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            if let Some(more) = rest.strip_prefix(b"'\\''") {
                value.push(b'\'');
                rest = more;
            } else {
                rest = rest.strip_prefix(b"'\n")?;
                break;
            }
        }
        if value.contains(&0) {
            return None;
        }
        variables.insert(name, Secret::new(value));
    }
    Some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::command::Invocation;

    /// Values that a careless file would run, break at, or lose a part of.
    const HOSTILE: [&str; 16] = [
        "",
        "'",
        "''",
        "'; touch /tmp/berth-pwned; '",
        "$(touch /tmp/berth-pwned)",
        "`touch /tmp/berth-pwned`",
        "${HOME}",
        "a\nexport B='x'\n",
        "\\",
        "\\'",
        "'\\''",
        "\"",
        "!x #y ~ * ? [",
        "\u{1b}]0;x\u{7}\r\n\t\u{1}\u{7f}",
        "ü€\u{10ffff}\u{85}\u{81}\u{88}",
        "-n",
    ];

    fn variables(values: impl IntoIterator<Item = Vec<u8>>) -> BTreeMap<VariableName, Secret> {
        let named = |(index, value)| (format!("V{index:03}").parse().unwrap(), Secret::new(value));
        values.into_iter().enumerate().map(named).collect()
    }

    #[tokio::test]
    async fn every_value_comes_out_of_a_shell_as_it_went_in_and_runs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("environment.sh");
        let every_byte: Vec<u8> = (1..=255).collect();
        let values = HOSTILE.iter().map(|value| value.as_bytes().to_vec()).chain([every_byte]);
        let set = variables(values);
        std::fs::write(&path, write(&set)).unwrap();
        let script = ". \"$1\" && env -0 | base64 -w0";
        let mut shells = 0;
        for shell in ["/bin/sh", "/bin/bash", "/bin/dash"] {
            if !std::path::Path::new(shell).exists() {
                continue;
            }
            for locale in ["C", "C.UTF-8"] {
                let invocation = Invocation::new(shell, ["-c", script, "x", path.to_str().unwrap()])
                    .with_env([("PATH".into(), "/usr/bin:/bin".into()), ("LC_ALL".into(), locale.into())]);
                let said = invocation.run().await.unwrap();
                let env = data_encoding::BASE64.decode(said.trim().as_bytes()).unwrap();
                for (name, value) in &set {
                    let line = [name.as_str().as_bytes(), b"=", value.expose()].concat();
                    let found = env.split(|byte| *byte == 0).any(|entry| entry == line);
                    assert!(found, "{shell} {locale} {name}: {:?}", String::from_utf8_lossy(value.expose()));
                }
                assert!(
                    !env.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"B=")),
                    "a value became code"
                );
            }
            shells += 1;
        }
        assert!(shells > 0);
        assert!(!std::path::Path::new("/tmp/berth-pwned").exists(), "a value was run");
    }

    #[test]
    fn what_was_written_is_read_and_nothing_else_is() {
        let every_byte: Vec<u8> = (1..=255).collect();
        let set = variables(HOSTILE.iter().map(|value| value.as_bytes().to_vec()).chain([every_byte]));
        assert_eq!(read(&write(&set)), Some(set));
        assert_eq!(read(b""), Some(BTreeMap::new()));
        for file in [
            &b"export A=b\n"[..],
            b"export A='b'",
            b"export A='b",
            b"A='b'\n",
            b"export A='b'; touch x\n",
            b"export A='b''c'\n",
            b"export PATH='b'\n",
            b"export LD_PRELOAD='b'\n",
            b"export A='\0'\n",
            b"export \xff='b'\n",
            b"touch x\n",
        ] {
            assert_eq!(read(file), None, "{:?}", String::from_utf8_lossy(file));
        }
    }
}
