use super::*;

const LIMITS: Limits = Limits { patience: Duration::from_secs(20), each_bytes: 1 << 20 };

fn rows(path: &Path) -> i64 {
    let database = Connection::open(path).unwrap();
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    database.query_row("SELECT COUNT(*) FROM words", [], |row| row.get(0)).unwrap()
}

#[test]
fn databases_are_found_by_their_header_and_copied_with_what_is_only_in_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for name in ["home", "projects/app", "projects/app/node_modules"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let open = |name: &str, mode: &str| {
        let database = Connection::open(root.join(name)).unwrap();
        database.pragma_update(None, "journal_mode", mode).unwrap();
        database.execute_batch("CREATE TABLE words (word); INSERT INTO words VALUES ('one');").unwrap();
        database
    };
    let logged = open("projects/app/no ending", "WAL");
    let plain = open("projects/plain.db", "DELETE");
    let left_out = open("projects/app/node_modules/x.db", "DELETE");
    fs::write(root.join("projects/no.db"), "not a database, whatever its name").unwrap();
    std::os::unix::fs::symlink("plain.db", root.join("projects/link.db")).unwrap();
    let huge = open("projects/huge.db", "DELETE");
    huge.execute("INSERT INTO words VALUES (zeroblob(2000000))", []).unwrap();
    // A writer in the middle of something: what is not committed is in no copy.
    logged
        .execute_batch(
            "BEGIN; INSERT INTO words VALUES ('two'); COMMIT; BEGIN; INSERT INTO words VALUES (3);",
        )
        .unwrap();

    let made = copy(root, LIMITS).unwrap();
    let mut found: Vec<(&str, bool)> =
        made.found.iter().map(|one| (one.path.as_str(), one.copy.is_some())).collect();
    found.sort_unstable();
    let expected =
        [("projects/app/no ending", true), ("projects/huge.db", false), ("projects/plain.db", true)];
    assert_eq!(found, expected, "{made:?}");
    let copies = root.join(COPIES);
    assert_eq!(
        (rows(&copies.join("projects/app/no ending")), rows(&copies.join("projects/plain.db"))),
        (2, 1)
    );
    assert!(copies.join(LIST).exists() && !copies.join("projects/huge.db").exists());
    // Again, with copies left behind, and after.
    drop((plain, left_out, huge));
    assert_eq!(copy(root, LIMITS).unwrap().found.len(), 3);
    remove(root).unwrap();
    assert!(!copies.exists());
    assert_eq!(rows(&root.join("projects/plain.db")), 1);
}

/// Names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn logged(path: &Path) -> Connection {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "journal_mode", "WAL").unwrap();
    database.execute_batch("CREATE TABLE words (word); INSERT INTO words VALUES ('one');").unwrap();
    database
}

#[test]
fn nothing_is_left_beside_a_closed_database_and_a_link_to_the_volume_is_no_hindrance() {
    let dir = tempfile::tempdir().unwrap();
    let (volume, link) = (dir.path().join("volume"), dir.path().join("link"));
    drop(logged(&volume.join("projects/50% off?.db")));
    std::os::unix::fs::symlink(&volume, &link).unwrap();
    let made = copy(&link, LIMITS).unwrap();
    assert!(made.found[0].copy.is_some(), "{made:?}");
    assert_eq!(names(&volume.join("projects")), ["50% off?.db"]);
    assert_eq!(names(&volume.join(COPIES)), [LIST, "projects"]);
    assert_eq!(rows(&volume.join(COPIES).join("projects/50% off?.db")), 1);
}

#[test]
fn only_what_a_backup_leaves_out_is_not_copied() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let (is_in, is_out) = (
        ["target/x.db", ".cargo/x.db", "projects/restored/x.db"],
        ["target/debug/x.db", ".cargo/registry/x.db", "restored/x.db"],
    );
    for name in is_in.iter().chain(&is_out) {
        drop(logged(&root.join(name)));
    }
    let made = copy(root, LIMITS).unwrap();
    let mut found: Vec<_> = made.found.iter().map(|one| one.path.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, [".cargo/x.db", "projects/restored/x.db", "target/x.db"], "{made:?}");
}

#[test]
fn the_deadline_is_that_of_every_database_and_half_a_copy_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("large.db");
    let open = logged(&database);
    open.execute("INSERT INTO words VALUES (zeroblob(30000000))", []).unwrap();
    let copy = dir.path().join(UNFINISHED);
    directory(copy.parent().unwrap()).unwrap();
    let late = Instant::now();
    let error = one(&database, &copy, 1 << 30, late).unwrap_err().to_string();
    assert!(error.contains("in time") && !copy.exists(), "{error}");
    let error = step_by_step(&database, &copy, How::Logged, late).unwrap_err().to_string();
    assert!(error.contains("in time"), "{error}");
    // What was begun is removed with the copies.
    fs::write(&copy, "half").unwrap();
    remove(dir.path()).unwrap();
    assert!(!copy.exists());
}

#[test]
fn what_is_written_between_the_steps_is_not_in_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("busy.db");
    let writer = logged(&database);
    writer.execute("INSERT INTO words VALUES (zeroblob(30000000))", []).unwrap();
    let copy = dir.path().join("copy.db");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                writer.execute("INSERT INTO words VALUES ('more')", []).unwrap();
            }
        });
        let copied = one(&database, &copy, 1 << 30, Instant::now() + Duration::from_secs(60));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        copied.unwrap();
    });
    assert!(rows(&copy) >= 2);
}
