//! A real Chromium, driven by its own ChromeDriver.

use std::path::PathBuf;
use std::time::Duration;

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports::Ports;
use crate::process::Process;
use crate::{Stack, programs, wait};

/// Flags that make Chromium run without a screen and without calls home.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser window. Fields are dropped in order: Chromium, its driver, their profile.
pub struct Browser {
    /// The WebDriver session.
    pub page: Client,
    _chromium: Chromium,
    _driver: Process,
    _ports: Ports,
    _profile: TempDir,
}

/// The process of a profile. A test that fails closes no window, and a driver that is killed leaves Chromium behind.
struct Chromium {
    profile_flag: String,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        for pid in processes_with(&self.profile_flag) {
            // It may have ended meanwhile.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Processes that were started with a certain argument.
fn processes_with(argument: &str) -> Vec<Pid> {
    let has = |line: &[u8]| line.split(|byte| *byte == 0).any(|word| word == argument.as_bytes());
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        has(&std::fs::read(entry.path().join("cmdline")).ok()?).then(|| Pid::from_raw(pid))
    });
    processes.collect()
}

impl Browser {
    /// Opens a window of the given size.
    ///
    /// # Panics
    /// When Chromium or its driver is missing or does not start.
    pub async fn open(width: u32, height: u32) -> Self {
        Self::open_with(&[&format!("--window-size={width},{height}")], json!({})).await
    }

    /// Opens a window that takes every certificate for good.
    ///
    /// # Panics
    /// As [`Self::open`].
    pub async fn open_trusting_all(width: u32, height: u32) -> Self {
        let size = format!("--window-size={width},{height}");
        Self::open_with(&[&size, "--ignore-certificate-errors"], json!({})).await
    }

    /// Opens a phone: a narrow screen with fingers instead of a mouse.
    ///
    /// # Panics
    /// As [`Self::open`].
    pub async fn open_phone(width: u32, height: u32) -> Self {
        let metrics =
            json!({ "width": width, "height": height, "pixelRatio": 2.0, "touch": true, "mobile": true });
        Self::open_with(&[], json!({ "mobileEmulation": { "deviceMetrics": metrics } })).await
    }

    async fn open_with(more_flags: &[&str], mut options: Value) -> Self {
        let chromium = programs::on_path("chromium").expect("chromium is missing: run scripts/test");
        let driver = programs::on_path("chromedriver").expect("chromedriver is missing: run scripts/test");
        let profile = tempfile::Builder::new().prefix("bt-chromium-").tempdir().expect("a directory");
        // Its own choice may be free for IPv6 alone, and then it gives up.
        let ports = Ports::take(1);
        let flag = format!("--port={}", ports.port(0));
        let mut driver = Process::new("chromedriver", driver, &[&flag], profile.path());
        driver.start();
        wait::until("chromedriver to listen", async || {
            driver.log().contains("started successfully on port").then_some(())
        })
        .await;
        let profile_flag = format!("--user-data-dir={}", profile.path().join("profile").display());
        let flags: Vec<&str> =
            FLAGS.iter().chain(more_flags).copied().chain([profile_flag.as_str()]).collect();
        options["binary"] = json!(chromium);
        options["args"] = json!(flags);
        let Value::Object(capabilities) = json!({ "goog:chromeOptions": options }) else {
            unreachable!("an object was written here")
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let page =
            builder.connect(&format!("http://127.0.0.1:{}", ports.port(0))).await.expect("chromium starts");
        Self { page, _chromium: Chromium { profile_flag }, _driver: driver, _ports: ports, _profile: profile }
    }

    /// Goes to a URL.
    ///
    /// # Panics
    /// When the browser can't.
    pub async fn goto(&self, url: &str) {
        self.page.goto(url).await.expect("the page loads");
    }

    /// Signs in, makes a session and opens its terminal. Returns the session's id.
    ///
    /// # Panics
    /// When any of it does not happen.
    pub async fn open_terminal(&self, stack: &Stack) -> String {
        self.goto(&stack.sign_in_link()).await;
        self.state("box-state", "online", wait::PATIENCE).await;
        self.element("session-create-name").await.send_keys("work\n").await.expect("a field");
        self.state("session-state", "running", wait::PATIENCE).await;
        let link = self.element("session-link").await;
        let session = link.attr("data-session-id").await.expect("a link").expect("a session");
        link.click().await.expect("the link is pressed");
        self.state("terminal-state", "live", wait::PATIENCE).await;
        session
    }

    /// Presses the button with this `data-testid`, once it is there.
    ///
    /// # Panics
    /// When it does not appear, or can't be pressed.
    pub async fn press(&self, test_id: &str) {
        self.element(test_id).await.click().await.expect("the button is pressed");
    }

    /// The element with this `data-testid`, once it is there and visible.
    ///
    /// # Panics
    /// When it does not appear.
    pub async fn element(&self, test_id: &str) -> Element {
        self.css(&format!("[data-testid='{test_id}']")).await
    }

    /// Waits until the element with this `data-testid` says a text.
    ///
    /// # Panics
    /// When it does not.
    pub async fn shown(&self, test_id: &str, text: &str) {
        wait::until(&format!("{test_id} to say {text:?}"), async || {
            let element = self.page.find(Locator::Css(&format!("[data-testid='{test_id}']"))).await.ok()?;
            element.text().await.ok()?.contains(text).then_some(())
        })
        .await;
    }

    /// Types into the field with this `data-testid`.
    ///
    /// # Panics
    /// When there is none.
    pub async fn type_into(&self, test_id: &str, text: &str) {
        self.element(test_id).await.send_keys(text).await.expect("the field takes keys");
    }

    /// Chooses in the list with this `data-testid`.
    ///
    /// # Panics
    /// When it has nothing of this value.
    pub async fn choose(&self, test_id: &str, value: &str) {
        self.element(test_id).await.select_by_value(value).await.expect("there is such a choice");
    }

    /// How many elements have this `data-testid`.
    pub async fn count(&self, test_id: &str) -> u64 {
        let count = format!("return document.querySelectorAll('[data-testid={test_id}]').length");
        self.script(&count).await.as_u64().unwrap_or_default()
    }

    /// Waits until no element has this `data-testid`.
    ///
    /// # Panics
    /// When one stays.
    pub async fn gone(&self, test_id: &str) {
        wait::until(&format!("no {test_id}"), async || (self.count(test_id).await == 0).then_some(())).await;
    }

    /// Looks whether the page fits into its width.
    ///
    /// # Panics
    /// When it scrolls sideways.
    pub async fn fits(&self) {
        let wider = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(self.script(wider).await, false, "the page scrolls sideways");
    }

    /// Keeps pictures of the page as desks and phones show it, light and dark, and looks whether it fits there.
    ///
    /// # Panics
    /// When it does not.
    pub async fn pictures(&self, name: &str) {
        for (size, width, height) in [("desk", 1200, 900), ("phone", 500, 844)] {
            self.page.set_window_size(width, height).await.expect("a window");
            for dark in [false, true] {
                self.dark(dark).await;
                let scheme = if dark { "dark" } else { "light" };
                self.picture(&format!("{name}-{size}-{scheme}")).await;
            }
            self.fits().await;
        }
        self.page.set_window_size(1200, 900).await.expect("a window");
        self.dark(false).await;
    }

    /// The element that a selector finds, once it is there and visible.
    ///
    /// # Panics
    /// When it does not appear.
    pub async fn css(&self, selector: &str) -> Element {
        wait::until(selector, async || {
            let element = self.page.find(Locator::Css(selector)).await.ok()?;
            element.is_displayed().await.ok()?.then_some(element)
        })
        .await
    }

    /// Waits until the element with this `data-testid` has this `data-state`.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn state(&self, test_id: &str, state: &str, limit: Duration) {
        let selector = format!("[data-testid='{test_id}'][data-state='{state}']");
        let look = async || self.page.find(Locator::Css(&selector)).await.ok();
        if wait::try_within(limit, look).await.is_none() {
            let found = self.page.find(Locator::Css(&format!("[data-testid='{test_id}']"))).await;
            let found = match found {
                Ok(element) => element.attr("data-state").await.ok().flatten(),
                Err(_) => None,
            };
            panic!("{test_id} was not {state} within {limit:?}, but {found:?}");
        }
    }

    /// Runs a script in the page and returns what it returns.
    ///
    /// # Panics
    /// When it throws.
    pub async fn script(&self, script: &str) -> Value {
        self.page.execute(script, vec![]).await.expect("the script runs")
    }

    /// What the terminal shows now.
    pub async fn screen(&self) -> String {
        let script = "const rows = document.querySelector('.xterm-rows');
            return rows ? Array.from(rows.children, (row) => row.textContent).join('\\n') : '';";
        self.script(script).await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the terminal shows a text.
    ///
    /// # Panics
    /// When it does not.
    pub async fn shows(&self, text: &str) {
        let look = async || self.screen().await.contains(text).then_some(());
        if wait::try_within(wait::PATIENCE, look).await.is_none() {
            panic!("the terminal never showed {text:?}, but:\n{}", self.screen().await);
        }
    }

    /// Types into the terminal.
    ///
    /// # Panics
    /// When there is none.
    pub async fn type_text(&self, text: &str) {
        let input = self.page.find(Locator::Css(".xterm-helper-textarea")).await.expect("a terminal");
        input.send_keys(text).await.expect("the terminal takes keys");
    }

    /// Presses keys where the focus is.
    ///
    /// # Panics
    /// When it takes none.
    pub async fn keys(&self, keys: &str) {
        let active = self.page.active_element().await.expect("something has the focus");
        active.send_keys(keys).await.expect("it takes keys");
    }

    /// Clicks at a point of the page.
    ///
    /// # Panics
    /// When the browser can't.
    pub async fn click(&self, x: i64, y: i64) {
        let mouse = MouseActions::new("mouse".into())
            .then(PointerAction::MoveTo { duration: None, x: x as f64, y: y as f64 })
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        self.page.perform_actions(mouse).await.expect("the mouse moves");
    }

    /// Keeps a picture of the page in `tests/artifacts/`, for people.
    pub async fn picture(&self, name: &str) {
        let directory: PathBuf = programs::repository().join("tests/artifacts");
        if let Ok(png) = self.page.screenshot().await
            && std::fs::create_dir_all(&directory).is_ok()
        {
            // A picture that can't be kept fails no test.
            let _ = std::fs::write(directory.join(format!("{name}.png")), png);
        }
    }

    /// Closes the window.
    pub async fn close(self) {
        // The driver ends it otherwise.
        let _ = self.page.clone().close().await;
    }
}
