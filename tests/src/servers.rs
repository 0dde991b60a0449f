//! Dev servers as people run them: Python's, a plain one of Node, and Vite's with its React template. What they do
//! beside serving files is `tests/servers/behaviours.mjs`.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::ports::Ports;
use crate::process::Process;
use crate::programs;

/// What `npm create vite -- --template react` makes, without its pictures and styles.
const REACT: [(&str, &str); 2] = [
    (
        "index.html",
        "<!doctype html><html lang=en><div id=root></div><script type=module src=/main.jsx></script></html>",
    ),
    (
        "main.jsx",
        "import { StrictMode } from 'react';
         import { createRoot } from 'react-dom/client';
         import Words from './Words.jsx';
         createRoot(document.getElementById('root')).render(<StrictMode><Words /></StrictMode>);",
    ),
];

const WORDS: &str = "import { useState } from 'react';
    export default function Words() {
      const [count, setCount] = useState(0);
      return <button onClick={() => setCount(count + 1)}><span id=\"shown\">WORD {count}</span></button>;
    }";

/// The length of the file that each of them has.
pub const LENGTH: usize = 24 * 1024 * 1024;

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain server of Node, at this address.
    Node(&'static str),
    /// Vite's dev server.
    Vite,
    /// `python3 -m http.server`.
    Python,
}

/// A server that runs.
pub struct Server {
    /// Where it listens.
    pub port: u16,
    /// What it serves.
    directory: TempDir,
    process: Process,
    _ports: Ports,
}

impl Server {
    /// Starts it; it listens some time later.
    ///
    /// # Panics
    /// When its program is not there.
    #[must_use]
    pub fn start(kind: Kind) -> Self {
        let directory = tempfile::Builder::new().prefix("bt-server-").tempdir().expect("a directory");
        let ports = Ports::take(1);
        let (program, arguments) = match kind {
            Kind::Node(address) => node(&directory, ports.port(0), address),
            Kind::Vite => vite(&directory, ports.port(0)),
            Kind::Python => python(&directory, ports.port(0)),
        };
        let program = programs::on_path(program).expect("node and python3 are there: run scripts/test");
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut process = Process::new("server", program, &arguments, directory.path());
        process.start();
        Self { port: ports.port(0), directory, process, _ports: ports }
    }

    /// Changes the word that Vite's page shows.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn say(&self, word: &str) {
        say(&self.directory, word);
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

type Start = (&'static str, Vec<String>);

fn put(directory: &TempDir, name: &str, text: impl AsRef<[u8]>) {
    let path = directory.path().join(name);
    std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
    std::fs::write(path, text).expect("a file");
}

/// Files of `tests/servers`.
fn bring(directory: &TempDir, names: &[&str]) {
    for name in names {
        let from = programs::repository().join("tests/servers").join(name);
        std::fs::copy(from, directory.path().join(name)).expect("a file");
    }
}

fn root(directory: &TempDir) -> String {
    directory.path().to_str().expect("a plain path").to_owned()
}

/// What is in that file: the bytes from 0 to 255, again and again.
#[must_use]
pub fn bytes() -> Vec<u8> {
    (0..=255u8).collect::<Vec<_>>().repeat(LENGTH / 256)
}

fn node(directory: &TempDir, port: u16, address: &str) -> Start {
    bring(directory, &["behaviours.mjs", "node.mjs"]);
    ("node", vec![format!("{}/node.mjs", root(directory)), port.to_string(), address.to_owned()])
}

fn python(directory: &TempDir, port: u16) -> Start {
    put(directory, "bytes.bin", bytes());
    put(directory, "directory/index.html", "<p>from python</p>");
    let arguments =
        ["-m", "http.server", &port.to_string(), "--bind", "127.0.0.1", "--directory", &root(directory)];
    ("python3", arguments.map(str::to_owned).to_vec())
}

fn vite(directory: &TempDir, port: u16) -> Start {
    for (name, text) in REACT {
        put(directory, name, text);
    }
    say(directory, "first");
    put(directory, "public/bytes.bin", bytes());
    bring(directory, &["behaviours.mjs", "vite.config.js"]);
    let packages = programs::repository().join("gateway/web/node_modules");
    assert!(
        packages.join("@vitejs/plugin-react").exists(),
        "the web UI's packages are missing: run scripts/test"
    );
    symlink(&packages, directory.path().join("node_modules")).expect("a link");
    let vite = packages.join("vite/bin/vite.js").to_str().expect("a plain path").to_owned();
    ("node", vec![vite, root(directory), "--port".to_owned(), port.to_string(), "--strictPort".to_owned()])
}

fn say(directory: &TempDir, word: &str) {
    put(directory, "Words.jsx", WORDS.replace("WORD", word));
}
