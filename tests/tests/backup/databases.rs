//! The user's databases in a backup: found by their header, and whole although they are written all the time.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use berth_tests::backup::BackupStack;
use rusqlite::Connection;

/// A database that is written by its program, again and again, until this is dropped.
struct Writer {
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicI64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Writer {
    fn start(path: &Path, mode: &str) -> Self {
        let database = Connection::open(path).unwrap();
        database.pragma_update(None, "journal_mode", mode).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        database.execute_batch("CREATE TABLE words (number INTEGER PRIMARY KEY, word BLOB)").unwrap();
        let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let (over, done) = (stop.clone(), committed.clone());
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // Many pages in each: what is read in between is torn.
                database.execute_batch("BEGIN").unwrap();
                for _ in 0..20 {
                    database.execute("INSERT INTO words (word) VALUES (randomblob(2000))", []).unwrap();
                }
                database.execute_batch("COMMIT").unwrap();
                done.fetch_add(20, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        Self { stop, committed, thread: Some(thread) }
    }

    fn committed(&self) -> i64 {
        self.committed.load(Ordering::SeqCst)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test]
async fn a_database_that_is_written_all_the_time_is_whole_in_the_backup() {
    let this = BackupStack::start("").await;
    let _ = this.first().await;
    fs::create_dir_all(this.user("projects/app")).unwrap();
    let writer = Writer::start(&this.user("projects/app/no ending"), "WAL");
    berth_tests::wait::until("some rows", async || (writer.committed() > 200).then_some(())).await;
    let before = writer.committed();
    let good = this.followed(&["run"], 0);
    assert_eq!((good["outcome"].as_str(), good["warnings"].is_null()), (Some("good"), true), "{good}");
    assert!(writer.committed() > before, "nobody was held up");
    let copies = "home/.local/state/berth/databases";
    assert!(!this.user(copies).exists(), "copies are gone afterwards");
    drop(writer);

    let restored = this.followed(&["restore", &format!("/user/{copies}")], 0);
    let place = this.user(restored["place"].as_str().unwrap().trim_start_matches("/user/"));
    let database = Connection::open(place.join("projects/app/no ending")).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let rows: i64 = database.query_row("SELECT COUNT(*) FROM words", [], |row| row.get(0)).unwrap();
    assert!(rows >= before, "{rows} rows, and {before} were there before the backup began");
    assert_eq!(rows % 20, 0, "a part of a transaction is in it");
    let list = fs::read_to_string(place.join("databases.json")).unwrap();
    assert!(list.contains("projects/app/no ending"), "{list}");
}

#[tokio::test]
async fn a_database_that_is_not_copied_is_named_and_none_is_when_nobody_wants_it() {
    let mut this = BackupStack::start("databases_max_bytes = 10000").await;
    let _ = this.first().await;
    let database = Connection::open(this.user("projects/large.db")).unwrap();
    database.execute_batch("CREATE TABLE words (word); INSERT INTO words VALUES (zeroblob(100000))").unwrap();
    let good = this.followed(&["run"], 0);
    let warning = good["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("projects/large.db may be torn") && warning.contains("databases_max_bytes"),
        "{good}"
    );
    this.stack.agent.stop();
    this.configure("databases = false");
    this.stack.start_agent().await;
    let good = this.followed(&["run"], 0);
    assert!(good["warnings"].is_null(), "{good}");
    let phases = good["phases"].to_string();
    assert!(!phases.contains("copying the user's databases"), "{phases}");
}
