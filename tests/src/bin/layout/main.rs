//! Says which functions of a program belong together: those that callgrind saw at work. `scripts/layout` starts it.
//!
//! It writes a linker script that puts them before all others. A program's memory is what of its file is in use, 64 KiB
//! at a time, and where a linker lays functions as they come, a used one is in almost each of these.

#![expect(clippy::disallowed_methods, reason = "it asks nm")]

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

/// Characters of a name in the script. What follows is taken as it comes: generics have names of a thousand.
const LONGEST: usize = 120;

/// A pattern may mean so many times less of what was not used than of what was.
const MUCH: u64 = 8;

/// What stands before a function's hash: its length, and a letter.
const HASH: &str = "17h";

/// Which program, and what was seen.
#[derive(Debug, Parser)]
#[command(name = "layout", about = "Writes a linker script that puts functions that were used together")]
struct Options {
    /// The program, with its symbols
    program: PathBuf,
    /// What callgrind wrote while it ran
    #[arg(required = true)]
    records: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match script(&Options::parse()) {
        Ok(script) => {
            print!("{script}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("layout: {error}");
            ExitCode::FAILURE
        }
    }
}

fn script(options: &Options) -> Result<String, String> {
    let program = options.program.to_str().ok_or("the program's path is not text")?;
    let mut used = HashSet::new();
    for path in &options.records {
        let record = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        used.extend(functions(&record, program).into_iter().map(str::to_owned));
    }
    let Layout { hot, namesakes } = layout(&code(&options.program)?, &used);
    if hot.is_empty() {
        return Err(format!("no record is of {program}"));
    }
    // What the compiler expects to be used seldom is little, and some of it is.
    Ok(format!(
        "/* What the program uses lies together. Made by scripts/layout; a line is a function, or all of one name. */\n\
         SECTIONS {{\n  .text : {{\n{}    *(.text.unlikely.*)\n{}    *(.text .text.*)\n  }}\n}} INSERT BEFORE .init;\n",
        sections(&hot),
        sections(&namesakes)
    ))
}

fn sections(patterns: &[String]) -> String {
    if patterns.is_empty() {
        return String::new();
    }
    let lines: String = patterns.iter().map(|pattern| format!("      .text.{pattern}\n")).collect();
    format!("    *(\n{lines}    )\n")
}

/// The functions of `program` that a record of callgrind names. It gives files, objects and functions a number where
/// it names them first.
fn functions<'a>(record: &'a str, program: &str) -> Vec<&'a str> {
    let (mut objects, mut names) = (BTreeMap::new(), BTreeMap::new());
    let mut own = false;
    let found = record.lines().filter_map(|line| {
        let (key, value) = line.split_once("=(")?;
        let (number, name) = value.split_once(')')?;
        let known = match key {
            "ob" | "cob" => &mut objects,
            "fn" | "cfn" => &mut names,
            _ => return None,
        };
        if let Some(name) = name.strip_prefix(' ') {
            known.insert(number, name);
        }
        let named = known.get(number).copied()?;
        match key {
            "ob" => own = named == program,
            "fn" if own => return Some(named),
            _ => {}
        }
        None
    });
    found.collect()
}

/// A function, or several that turned out to be the same.
struct Function {
    names: Vec<String>,
    /// Bytes.
    size: u64,
}

/// A program's functions.
fn code(program: &Path) -> Result<Vec<Function>, String> {
    let output = Command::new("nm").args(["--print-size", "--defined-only"]).arg(program).output();
    let output = output.map_err(|error| format!("nm did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("nm: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(listed(&String::from_utf8_lossy(&output.stdout)))
}

/// The functions of `nm`'s list: place, size, kind and name.
fn listed(text: &str) -> Vec<Function> {
    let mut functions: BTreeMap<&str, Function> = BTreeMap::new();
    for line in text.lines() {
        let Ok([place, size, "t" | "T" | "w" | "W", name]) =
            <[&str; 4]>::try_from(line.split(' ').collect::<Vec<_>>())
        else {
            continue;
        };
        let size = u64::from_str_radix(size, 16).unwrap_or_default();
        let function = functions.entry(place).or_insert_with(|| Function { names: Vec::new(), size });
        function.names.push(name.to_owned());
    }
    functions.into_values().collect()
}

/// Which functions lie where.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layout {
    /// What was used.
    hot: Vec<String>,
    /// What has the name of one of those. Hashes change with each change of a dependency, and then what is used is found
    /// here, not everywhere.
    namesakes: Vec<String>,
}

/// By pattern where that means what was used, else by the whole name and, behind all others, by pattern.
fn layout(code: &[Function], used: &HashSet<String>) -> Layout {
    let mut named: BTreeMap<String, (Vec<&str>, u64, u64)> = BTreeMap::new();
    for Function { names, size } in code {
        // Under which of its names it lies is not known; callgrind has told one.
        let is_used = names.iter().any(|name| used.contains(name));
        for name in names {
            let (whole, of_used, of_others) = named.entry(pattern(name)).or_default();
            if is_used {
                whole.push(name);
                *of_used += size;
            } else {
                *of_others += size;
            }
        }
    }
    named.retain(|_, (whole, ..)| !whole.is_empty());
    let mut layout = Layout::default();
    for (pattern, (whole, of_used, of_others)) in named {
        // Some bytes more are worth a line less.
        if of_others * MUCH <= of_used {
            layout.hot.push(pattern);
        } else {
            layout.hot.extend(whole.into_iter().map(str::to_owned));
            layout.namesakes.push(pattern);
        }
    }
    layout
}

/// A function's name without the hash behind it, which changes with each change of a dependency, as a pattern.
fn pattern(name: &str) -> String {
    let (path, hash) = name.rsplit_once(HASH).filter(|(_, hash)| is_hash(hash)).unwrap_or((name, ""));
    if path.len() > LONGEST {
        format!("{}*", &path[..path.floor_char_boundary(LONGEST)])
    } else if hash.is_empty() {
        path.to_owned()
    } else {
        format!("{path}{HASH}*")
    }
}

fn is_hash(text: &str) -> bool {
    let digits = text.split_once('E').map_or("", |(digits, _)| digits);
    digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "\
ob=(1) /lib/libc.so.6
fl=(1) ???
fn=(1) malloc
0 4
cob=(2) /bin/program
cfn=(2) _ZN7program4main17h0123456789abcdefE
calls=1 0
0 10
ob=(2)
fn=(2)
0 5
cob=(1)
cfn=(1)
calls=1 0
0 4
fn=(3) sqlite3_open
0 3
";

    #[test]
    fn only_what_ran_of_the_program_itself_counts() {
        assert_eq!(
            functions(RECORD, "/bin/program"),
            ["_ZN7program4main17h0123456789abcdefE", "sqlite3_open"]
        );
        assert!(functions(RECORD, "/bin/other").is_empty());
    }

    #[test]
    fn a_hash_is_no_part_of_a_name() {
        assert_eq!(pattern("_ZN7program4main17h0123456789abcdefE"), "_ZN7program4main17h*");
        assert_eq!(pattern("_ZN7program4main17h0123456789abcdefE.llvm.42"), "_ZN7program4main17h*");
        assert_eq!(pattern("_ZN7program17hello4mainE"), "_ZN7program17hello4mainE");
        assert_eq!(pattern("sqlite3_open.part.0"), "sqlite3_open.part.0");
        assert_eq!(pattern(&"x".repeat(LONGEST + 9)), format!("{}*", "x".repeat(LONGEST)));
    }

    #[test]
    fn a_name_that_means_more_than_what_is_used_stands_behind_all_others() {
        let (one, other) = ("_ZN1a1f17h0000000000000001E", "_ZN1a1f17h0000000000000002E");
        let used = HashSet::from([one.to_owned(), "g".to_owned()]);
        let laid = |of_other: &str| {
            let list = format!(
                "10 50 t {one}\n20 {of_other} t {other}\n30 1 T g\n30 1 T same\n40 1 T h\n50 9 D g\n"
            );
            let Layout { hot, namesakes } = layout(&listed(&list), &used);
            (hot, namesakes)
        };
        let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(laid("a"), (text(&["_ZN1a1f17h*", "g", "same"]), text(&[])));
        assert_eq!(laid("b"), (text(&[one, "g", "same"]), text(&["_ZN1a1f17h*"])));
    }
}
