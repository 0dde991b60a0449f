//! Files uploaded from the terminal's page: chosen, dropped or pasted, they are on the box, and their paths are
//! typed.

use std::path::PathBuf;

use berth_protocol::control::files::MAX_UPLOAD;
use berth_tests::{Browser, Stack, wait};
use fantoccini::Locator;
use serde_json::json;

/// Begins an event with a file: its name, type, content, how often that is repeated, and the event's name.
const WITH_FILE: &str = "
    const [name, type, content, times, event] = arguments;
    const data = new DataTransfer();
    data.items.add(new File([content.repeat(times)], name, { type }));
    const options = { bubbles: true, cancelable: true };
    const made = event === 'paste'
        ? new ClipboardEvent(event, { clipboardData: data, ...options })
        : new DragEvent(event, { dataTransfer: data, ...options });
    document.querySelector('.xterm-helper-textarea').dispatchEvent(made);
    return made.defaultPrevented;";

async fn with_file(browser: &Browser, event: &str, name: &str, content: &str, times: u64) {
    let kind = if name.ends_with(".png") { "image/png" } else { "text/plain" };
    let arguments = [json!(name), json!(kind), json!(content), json!(times), json!(event)];
    let taken = browser.page.execute(WITH_FILE, arguments.to_vec()).await.unwrap();
    assert_eq!(taken, true, "the browser would have handled the {event} itself");
}

fn directory(stack: &Stack) -> PathBuf {
    stack.path("workspace/user/home/projects")
}

fn names(stack: &Stack) -> Vec<String> {
    let entries = std::fs::read_dir(directory(stack)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Opens a terminal with one wide pane and a prompt that is the same for every user.
async fn open(stack: &Stack, browser: &Browser) {
    let session = browser.open_terminal(stack).await;
    assert!(stack.tmux.run(&["resize-pane", "-Z", "-t", &format!("={session}:")]).is_some());
    browser.type_text("PS1='p''> '; clear\n").await;
    browser.shows("p> ").await;
}

async fn text_of(browser: &Browser, test_id: &str, expected: &str) {
    wait::until(expected, async || {
        let text = browser.element(test_id).await.text().await.ok()?;
        text.contains(expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn chosen_dropped_and_pasted_files_arrive_and_their_paths_are_typed() {
    let stack = Stack::start().await;
    let browser = Browser::open(1200, 800).await;
    open(&stack, &browser).await;

    // Chosen, several at once; one name has to be quoted, and nothing is run.
    let files = [stack.path("it's one.txt"), stack.path("two.txt")];
    for (file, content) in files.iter().zip(["first-", "second\n"]) {
        std::fs::write(file, content).unwrap();
    }
    browser.press("terminal-menu").await;
    browser.picture("upload-menu").await;
    browser.press("terminal-menu").await;
    browser.type_text("cat ").await;
    let field = browser.page.find(Locator::Css("[data-testid=upload-field]")).await.unwrap();
    field.send_keys(&files.each_ref().map(|file| file.to_str().unwrap()).join("\n")).await.unwrap();
    text_of(&browser, "terminal-note", "Uploaded 2 files.").await;
    browser.shows("projects/two.txt ").await;
    browser.picture("uploaded").await;
    assert!(!browser.screen().await.contains("first-second"), "Enter was pressed");
    browser.type_text("\n").await;
    browser.shows("first-second").await;

    // Dropped, with a hint meanwhile.
    browser.type_text("clear; cat ").await;
    with_file(&browser, "dragover", "two.txt", "dropped-", 3).await;
    browser.element("drop-hint").await;
    browser.picture("drop-hint").await;
    with_file(&browser, "drop", "two.txt", "dropped-", 3).await;
    browser.shows("projects/two-1.txt ").await;
    browser.type_text("\n").await;
    browser.shows("dropped-dropped-dropped-").await;
    let hint = browser.page.find(Locator::Css("[data-testid=drop-hint]")).await;
    assert!(hint.is_err(), "the hint stays");

    // Pasted, a picture from the clipboard has the name that the browser gives to all.
    browser.type_text("clear; head -c 9 ").await;
    with_file(&browser, "paste", "image.png", "no-picture", 1).await;
    browser.shows("projects/pasted-").await;
    browser.type_text("\n").await;
    browser.shows("no-pictur").await;

    let names = names(&stack);
    assert_eq!(
        (names.len(), &names[..1], &names[2..]),
        (4, &["it's one.txt".to_owned()][..], &["two-1.txt".to_owned(), "two.txt".to_owned()][..]),
        "{names:?}"
    );
    assert!(names[1].starts_with("pasted-20") && names[1].ends_with(".png"), "{names:?}");
    browser.close().await;
}

#[tokio::test]
async fn an_upload_shows_how_far_it_is_can_be_cancelled_and_says_why_not() {
    let stack = Stack::start().await;
    let browser = Browser::open_phone(390, 844).await;
    open(&stack, &browser).await;
    with_file(&browser, "drop", "huge.bin", "x", MAX_UPLOAD + 1).await;
    text_of(&browser, "upload-failures", "huge.bin was not uploaded: A file may have 25 MiB at most.").await;
    with_file(&browser, "drop", ".hidden", "x", 1).await;
    text_of(&browser, "upload-failures", ".hidden was not uploaded: ").await;
    browser.picture("phone-upload-refused").await;
    browser.press("upload-dismiss").await;

    browser.slow_uploads(400_000).await;
    with_file(&browser, "drop", "slow.bin", "x", 8_000_000).await;
    wait::until("some progress", async || {
        let value = "return document.querySelector('[data-testid=upload-progress]')?.value ?? 0";
        (browser.script(value).await.as_f64()? >= 10.0).then_some(())
    })
    .await;
    browser.picture("phone-upload").await;
    browser.press("upload-cancel").await;
    wait::until("the upload to be gone", async || {
        browser.page.find(Locator::Css("[data-testid=uploads]")).await.is_err().then_some(())
    })
    .await;
    browser.slow_uploads(-1).await;
    with_file(&browser, "drop", "after.txt", "x", 1).await;
    wait::until("the path to be typed", async || {
        // A phone is narrower than the path.
        browser.screen().await.replace('\n', "").contains("projects/after.txt").then_some(())
    })
    .await;
    assert_eq!(names(&stack), ["after.txt"]);
    browser.close().await;
}
