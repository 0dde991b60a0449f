//! A repository is cloned whole or not at all, from a real server, and its token stays nowhere.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use berth_protocol::environment::{Repository, Secret};
use box_agent::environment::job::{CloneJob, CloneLine};
use box_agent::host::command::Invocation;
use box_agent::worker::clone::clone;
use data_encoding::BASE64;

const TOKEN_VALUE: &str = "canary-token-55d1";

/// A server of one repository over git's oldest protocol, which needs files alone. It asks for the token, and
/// remembers what it was sent.
struct Server {
    address: std::net::SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

/// How a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// To anybody.
    Open,
    /// To the token's bearer.
    Closed,
    /// With what it was sent, and nothing else.
    Gossip,
}

async fn git(directory: &Path, words: &[&str]) {
    let words = ["-C", directory.to_str().unwrap()].into_iter().chain(words.iter().copied());
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/nowhere")];
    let env = env.map(|(name, value)| (name.into(), value.into()));
    Invocation::new("git", words).with_env(env).run().await.unwrap();
}

impl Server {
    async fn start(manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        git(path, &["init", "-q", "-b", "main", "work"]).await;
        let work = path.join("work");
        std::fs::write(work.join("README"), "hello\n").unwrap();
        git(&work, &["add", "."]).await;
        let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "first"];
        git(&work, &identity).await;
        git(&work, &["branch", "other"]).await;
        git(path, &["clone", "-q", "--bare", "work", "app.git"]).await;
        git(&path.join("app.git"), &["update-server-info"]).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (root, log) = (path.to_owned(), heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, log) = (root.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &root, manner, &log));
            }
        });
        Self { address, heard, _dir: dir }
    }

    fn job(&self, token: Option<&str>) -> CloneJob {
        let repository = Repository {
            url: format!("http://{}/app.git", self.address).parse().unwrap(),
            directory: "app".parse().unwrap(),
            branch: None,
            token: token.map(Secret::new),
        };
        CloneJob { repository, agent: env!("CARGO_BIN_EXE_box-agent").into() }
    }
}

fn serve(stream: TcpStream, root: &Path, manner: Manner, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut authorization) = (String::new(), String::new());
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = value.trim().to_owned();
        }
    }
    heard.lock().unwrap().push(format!("{} {authorization}", first.trim()));
    let path = first.split(' ').nth(1).unwrap_or("/");
    let path = path.split('?').next().unwrap().trim_start_matches('/').to_owned();
    let right = format!("Basic {}", BASE64.encode(format!("x-access-token:{TOKEN_VALUE}").as_bytes()));
    let mut stream = stream;
    let mut answer = |status: &str, more: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        // A client that has gone wants no answer.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
    };
    if manner != Manner::Open && authorization != right {
        return answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", b"");
    }
    if manner == Manner::Gossip {
        let words = format!("you sent {TOKEN_VALUE}\n");
        return answer("500 Oh", "Content-Type: text/plain\r\n", words.as_bytes());
    }
    match std::fs::read(root.join(path)) {
        Ok(body) => answer("200 OK", "", &body),
        Err(_) => answer("404 Not Found", "", b""),
    }
}

/// A user's tree and a directory in memory.
struct User(tempfile::TempDir);

impl User {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for path in ["user/home", "user/projects", "secrets", "outside"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        Self(dir)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn clone(&self, job: &CloneJob) -> Vec<CloneLine> {
        let mut said = Vec::new();
        clone(&self.at("user"), &self.at("secrets"), job, |line| said.push(line));
        said
    }

    fn names(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.at(path)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn failure(said: &[CloneLine]) -> &str {
    match said.last() {
        Some(CloneLine::Failed(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repository_comes_whole_and_is_left_alone_from_then_on() {
    let server = Server::start(Manner::Open).await;
    let user = User::new();
    let said = user.clone(&server.job(None));
    assert_eq!(said.last(), Some(&CloneLine::Cloned), "{said:?}");
    assert_eq!(std::fs::read_to_string(user.at("user/projects/app/README")).unwrap(), "hello\n");
    assert_eq!(user.names("user/projects"), ["app"]);
    std::fs::write(user.at("user/projects/app/README"), "mine").unwrap();
    assert_eq!(user.clone(&server.job(None)), [CloneLine::There]);
    assert_eq!(std::fs::read_to_string(user.at("user/projects/app/README")).unwrap(), "mine");
}

#[tokio::test]
async fn a_branch_is_chosen() {
    let server = Server::start(Manner::Open).await;
    let user = User::new();
    let mut job = server.job(None);
    job.repository.branch = Some("other".parse().unwrap());
    assert_eq!(user.clone(&job).last(), Some(&CloneLine::Cloned));
    let head = std::fs::read_to_string(user.at("user/projects/app/.git/HEAD")).unwrap();
    assert_eq!(head, "ref: refs/heads/other\n");
}

#[tokio::test]
async fn a_token_reaches_its_server_and_stays_nowhere() {
    let server = Server::start(Manner::Closed).await;
    let user = User::new();
    let said = user.clone(&server.job(Some(TOKEN_VALUE)));
    assert_eq!(said.last(), Some(&CloneLine::Cloned), "{said:?}");
    assert!(server.heard.lock().unwrap().iter().any(|line| line.contains("Basic ")));
    assert_eq!(user.names("secrets"), Vec::<String>::new(), "the token stays in memory");
    let config = std::fs::read_to_string(user.at("user/projects/app/.git/config")).unwrap();
    assert!(config.contains("url = http://127.0.0.1") && !config.contains("credential"), "{config}");
    let encoded = BASE64.encode(format!("x-access-token:{TOKEN_VALUE}").as_bytes());
    let mut looked_at = 0;
    let mut todo = vec![user.0.path().to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(TOKEN_VALUE) && !text.contains(&encoded), "{}", entry.path().display());
            looked_at += 1;
        }
    }
    assert!(looked_at > 10);
}

#[tokio::test]
async fn a_server_that_refuses_is_told_with_a_remedy_and_leaves_nothing() {
    let server = Server::start(Manner::Closed).await;
    let user = User::new();
    for token in [None, Some("wrong")] {
        let said = user.clone(&server.job(token));
        assert!(failure(&said).contains("give a token that may read the repository"), "{said:?}");
        assert_eq!(user.names("user/projects"), Vec::<String>::new());
        assert_eq!(user.names("secrets"), Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_a_server_says_of_the_token_is_not_told() {
    let server = Server::start(Manner::Gossip).await;
    let said = User::new().clone(&server.job(Some(TOKEN_VALUE)));
    assert!(!format!("{said:?}").contains(TOKEN_VALUE), "{said:?}");
    assert!(!failure(&said).is_empty());
}

#[tokio::test]
async fn an_unfinished_clone_is_swept_away_and_one_that_is_late_takes_no_place() {
    let server = Server::start(Manner::Open).await;
    let user = User::new();
    std::fs::create_dir_all(user.at("user/projects/.berth-clone-1/work/.git")).unwrap();
    let mut said = Vec::new();
    let in_the_way = user.at("user/projects/app");
    clone(&user.at("user"), &user.at("secrets"), &server.job(None), |line| {
        // As early as anything is said: git runs, and the user is faster.
        std::fs::create_dir_all(&in_the_way).unwrap();
        said.push(line);
    });
    assert!(matches!(said.last(), Some(CloneLine::Cloned | CloneLine::There)), "{said:?}");
    assert_eq!(user.names("user/projects"), ["app"]);
}

#[tokio::test]
async fn no_planted_link_leads_a_clone_out() {
    let server = Server::start(Manner::Open).await;
    let user = User::new();
    std::fs::remove_dir(user.at("user/projects")).unwrap();
    symlink(user.at("outside"), user.at("user/projects")).unwrap();
    let said = user.clone(&server.job(None));
    assert!(failure(&said).contains("leads out of the user's own tree"), "{said:?}");
    assert_eq!(user.names("outside"), Vec::<String>::new());
    std::fs::remove_file(user.at("user/projects")).unwrap();
    std::fs::create_dir(user.at("user/projects")).unwrap();
    symlink(user.at("outside"), user.at("user/projects/app")).unwrap();
    assert_eq!(user.clone(&server.job(None)), [CloneLine::There]);
    assert_eq!(user.names("outside"), Vec::<String>::new());
}
