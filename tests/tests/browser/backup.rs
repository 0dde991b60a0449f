//! The page of a workspace's backups, in a real browser, with a real repository behind it: set up, watched, looked into,
//! restored from.

use std::fs;

use berth_tests::backup::BackupStack;
use berth_tests::s3::{BUCKET, KEY_ID, SECRET_KEY, Weather};
use berth_tests::{Browser, wait};
use serde_json::Value;

/// Everything that the page holds, in fields too.
const ALL_TEXT: &str = "return document.body.innerText + [...document.querySelectorAll('input')]
    .map((field) => field.value + field.placeholder).join('\\n')";

/// Elements that are there to be used and have no name for those who can't see them.
const NAMELESS: &str =
    "return [...document.querySelectorAll('main input, main select, main button, main a, dialog button, dialog input')]
    .filter((element) => !(element.labels?.length || element.ariaLabel || element.textContent.trim()
        || element.getAttribute('aria-labelledby')))
    .map((element) => element.outerHTML)";

const WIDER: &str = "return document.documentElement.scrollWidth > innerWidth";

/// What the element says, once it says something of the kind.
async fn says(browser: &Browser, test_id: &str, part: &str) -> String {
    wait::within(wait::PATIENCE * 4, part, async || {
        let text = browser.element(test_id).await.text().await.ok()?;
        text.contains(part).then_some(text)
    })
    .await
}

async fn signed_in(browser: &Browser, this: &BackupStack) {
    browser.goto(&this.stack.sign_in_link()).await;
    browser.state("box-state", "online", wait::PATIENCE).await;
    browser.press("backups-link").await;
}

/// Waits for a run of this kind and end in the history that the page shows.
async fn shown_run(browser: &Browser, work: &str, outcome: &str) {
    let selector = format!("[data-testid='backup-run-row'][data-work='{work}'][data-state='{outcome}']");
    let script = format!("return document.querySelector(\"{selector}\") !== null");
    wait::within(wait::PATIENCE * 4, &selector, async || {
        (browser.script(&script).await == Value::Bool(true)).then_some(())
    })
    .await;
}

/// Opens the directories one after the other.
async fn enter(browser: &Browser, names: &[&str]) {
    let mut path = "/user".to_owned();
    for name in names {
        browser.css(&format!("[data-name='{name}'] [data-testid=backup-enter]")).await.click().await.unwrap();
        path = format!("{path}/{name}");
        browser.state("backup-entries", &path, wait::PATIENCE * 4).await;
    }
}

fn plant(this: &BackupStack) {
    fs::create_dir_all(this.user("projects/app")).unwrap();
    fs::write(this.user("projects/app/notes \"ü\".txt"), "to be kept").unwrap();
    fs::write(this.user("projects/app/main.rs"), "fn main() {}\n").unwrap();
}

#[tokio::test]
async fn a_backup_is_looked_into_and_a_file_restored_by_hand() {
    let mut this = BackupStack::prepare("").await;
    // The first backup waits until there is something to be backed up.
    this.proxy.set(Weather::Unknown);
    this.stack.start_agent().await;
    plant(&this);
    this.proxy.set(Weather::Fair);
    let file = this.user("projects/app/notes \"ü\".txt");
    let (browser, _) = tokio::join!(Browser::open(1200, 900), this.first());
    signed_in(&browser, &this).await;
    browser.state("backup-status", "idle", wait::PATIENCE).await;
    let verified = browser.element("backup-verified").await.text().await.unwrap();
    assert!(!verified.is_empty() && verified != "None yet", "{verified}");

    // Looked into, and a file downloaded.
    browser.press("backup-browse").await;
    enter(&browser, &["projects", "app"]).await;
    let href = browser.css("[data-name^=notes] [data-testid=backup-download]").await.attr("href").await;
    let href = serde_json::to_string(&href.unwrap().unwrap()).unwrap();
    let got = browser.script(&format!("return fetch({href}).then((answer) => answer.text())")).await;
    assert_eq!(got, "to be kept");
    assert_eq!(browser.script(NAMELESS).await, Value::Array(vec![]));
    browser.picture("backups-browsing").await;

    // One file, where it was, with a word before of what that changes.
    fs::write(&file, "spoiled, alas").unwrap();
    browser.css("[data-name^=notes] [data-testid=backup-restore]").await.click().await.unwrap();
    let _ = says(&browser, "restore-counted", "1 file").await;
    browser.press("restore-in-place").await;
    let preview = says(&browser, "restore-preview", "is replaced").await;
    assert!(preview.contains("1 file is replaced") && preview.contains("projects/app/notes"), "{preview}");
    assert_eq!(browser.script(NAMELESS).await, Value::Array(vec![]));
    browser.picture("backups-restoring").await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "spoiled, alas", "looking changes nothing");
    browser.press("restore-confirm").await;
    shown_run(&browser, "restore", "good").await;
    assert_eq!(fs::read_to_string(&file).unwrap(), "to be kept");

    // The way out: an archive to this computer, and one into the bucket.
    let href = browser.element("export-download").await.attr("href").await.unwrap().unwrap();
    let href = serde_json::to_string(&href).unwrap();
    let script = format!(
        "return fetch({href}).then(async (answer) => [answer.headers.get('content-type'), (await answer.blob()).size > 100])"
    );
    assert_eq!(browser.script(&script).await, serde_json::json!(["application/zstd", true]));
    browser.state("backup-status", "idle", wait::PATIENCE * 4).await;
    browser.press("export-bucket").await;
    shown_run(&browser, "export", "good").await;
    let place = says(&browser, "backup-run-place", "Stored as").await;
    assert!(place.contains("s3://boxes/main/exports/"), "{place}");
    browser.picture("backups-exported").await;
    assert_eq!(fs::read_dir(this.s3.path("main/exports")).unwrap().count(), 1);
    browser.close().await;
}

#[tokio::test]
#[ignore = "two browsers and many backups"]
async fn backups_are_set_up_watched_and_ended_by_hand_and_a_phone_does_it_too() {
    let this = BackupStack::by_gateway().await;
    plant(&this);
    let browser = Browser::open(1200, 900).await;
    signed_in(&browser, &this).await;
    browser.state("backup-status", "off", wait::PATIENCE).await;

    // Where they go; a mistake is said with its remedy, and what was typed stays.
    browser.type_into("place-endpoint", "http://example.org").await;
    browser.type_into("place-bucket", BUCKET).await;
    browser.type_into("place-prefix", "main").await;
    browser.type_into("place-key-id", KEY_ID).await;
    browser.type_into("place-secret-key", SECRET_KEY).await;
    browser.press("place-save").await;
    assert!(says(&browser, "place-error", "endpoint").await.contains("https"));
    browser.picture("backups-setting-up").await;
    browser.type_into("place-endpoint", &"\u{e003}".repeat("http://example.org".len())).await;
    browser.type_into("place-endpoint", &format!("http://127.0.0.1:{}", this.proxy.port)).await;
    browser.press("place-save").await;
    let _ = says(&browser, "place-saved", "Saved").await;

    // The sheet is shown once, and only whoever says that it is kept gets past it.
    browser.press("recovery-sheet-show").await;
    let sheet = says(&browser, "recovery-sheet", "restic").await;
    assert!(sheet.contains("Password:") && !sheet.contains(SECRET_KEY), "{sheet}");
    browser.picture("backups-recovery-sheet").await;
    assert!(!browser.element("recovery-sheet-close").await.is_enabled().await.unwrap());
    browser.press("recovery-sheet-kept").await;
    browser.press("recovery-sheet-close").await;
    let password = sheet.lines().find_map(|line| line.strip_prefix("Password:")).unwrap().trim().to_owned();
    let due = "return document.querySelector('[data-testid=recovery-sheet-due]') !== null";
    assert_eq!(browser.script(due).await, false, "it is due no more");

    // The first backup comes by itself, and is read back.
    shown_run(&browser, "backup", "good").await;
    shown_run(&browser, "drill", "good").await;
    browser.state("backup-status", "idle", wait::PATIENCE * 4).await;

    // On demand, watched, and ended.
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(2_000_000).collect();
    fs::write(this.user("projects/app/noise"), noise).unwrap();
    this.proxy.set(Weather::Trickle(4_000));
    browser.press("backup-run").await;
    browser.state("backup-status", "running", wait::PATIENCE).await;
    let _ = says(&browser, "backup-phase", "backing up").await;
    browser.picture("backups-running").await;
    browser.press("backup-cancel").await;
    shown_run(&browser, "backup", "cancelled").await;
    this.proxy.set(Weather::Fair);
    browser.state("backup-status", "idle", wait::PATIENCE * 4).await;
    let text = browser.script(ALL_TEXT).await.to_string();
    assert!(!text.contains(SECRET_KEY) && !text.contains(&password), "a secret is on the page");
    browser.close().await;

    // On a phone: a directory beside what is there, which stays.
    let phone = Browser::open_phone(390, 844).await;
    signed_in(&phone, &this).await;
    phone.state("backup-status", "idle", wait::PATIENCE * 4).await;
    phone.picture("backups-phone").await;
    assert_eq!(phone.script(WIDER).await, false, "the page is wider than the phone");
    phone.press("backup-browse").await;
    enter(&phone, &["projects"]).await;
    assert_eq!(phone.script(WIDER).await, false, "the page is wider than the phone");
    let scroll = "document.querySelector('[data-testid=backup-entries]').scrollIntoView({ block: 'center' })";
    let _ = phone.script(scroll).await;
    phone.picture("backups-phone-browsing").await;
    phone.css("[data-name=app] [data-testid=backup-restore]").await.click().await.unwrap();
    let _ = says(&phone, "restore-counted", "2 files").await;
    phone.picture("backups-phone-restoring").await;
    phone.press("restore-confirm").await;
    let place = says(&phone, "backup-run-place", "restored/").await;
    let place = place.trim_start_matches("Restored to ").trim().to_owned();
    assert_eq!(fs::read_to_string(this.user(&place).join("main.rs")).unwrap(), "fn main() {}\n");
    phone.close().await;
}
