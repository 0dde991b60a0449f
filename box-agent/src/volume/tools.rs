//! The programs that know about devices and ext4, and what their exit codes mean.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::error::VolumeError;
use super::probe::{self, Content};
use crate::host::command::Invocation;
use crate::host::programs::find;
use crate::host::tool::{Said, run};

/// Where they are when `PATH` does not say: administrators' programs are not on everybody's.
const SBIN: &str = "/usr/sbin:/sbin";

/// e2fsck: nothing was wrong, or it was mended.
const MENDED: i32 = 1;

/// The most of a tool's words that an error repeats, characters.
const MAX_WORDS: usize = 400;

/// The programs, found.
#[derive(Debug, Clone)]
pub struct Tools {
    blkid: PathBuf,
    e2fsck: PathBuf,
    mkfs: PathBuf,
    resize: PathBuf,
    chattr: PathBuf,
}

impl Tools {
    /// Finds them all: one that is missing is told before anything is done.
    ///
    /// # Errors
    /// [`VolumeError::MissingTool`].
    pub fn find() -> Result<Self, VolumeError> {
        let mut search = std::env::var_os("PATH").unwrap_or_default();
        search.push(":");
        search.push(SBIN);
        let tool = |program: &'static str, package: &'static str| {
            find(Path::new(program), &search, "PATH", package)
                .map_err(|_| VolumeError::MissingTool { program, package })
        };
        Ok(Self {
            blkid: tool("blkid", "util-linux")?,
            e2fsck: tool("e2fsck", "e2fsprogs")?,
            mkfs: tool("mkfs.ext4", "e2fsprogs")?,
            resize: tool("resize2fs", "e2fsprogs")?,
            chattr: tool("chattr", "e2fsprogs")?,
        })
    }

    /// What is on a device.
    ///
    /// # Errors
    /// [`VolumeError`], when blkid does not say.
    pub async fn content(&self, device: &Path) -> Result<Content, VolumeError> {
        let args = ["-p", "-o", "export"].map(OsStr::new).into_iter().chain([device.as_os_str()]);
        let said = tool(&self.blkid, args).await?;
        probe::content(said.code, &said.output, &said.complaint).ok_or_else(|| failed("blkid", device, &said))
    }

    /// Every device with this label or UUID, written as `LABEL=x` or `UUID=x`. Devices are asked, not a cache.
    ///
    /// # Errors
    /// [`VolumeError`], when blkid can't be started.
    pub async fn with_token(&self, token: &str) -> Result<Vec<PathBuf>, VolumeError> {
        let said = tool(&self.blkid, ["-c", "/dev/null", "-o", "device", "-t", token]).await?;
        Ok(said.output.lines().map(PathBuf::from).collect())
    }

    /// Makes an ext4.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub async fn format(&self, device: &Path) -> Result<(), VolumeError> {
        // One percent for root, so that the agent can write when the user has filled it.
        let args = ["-q", "-m", "1"].map(OsStr::new).into_iter().chain([device.as_os_str()]);
        let said = tool(&self.mkfs, args).await?;
        if said.code == Some(0) { Ok(()) } else { Err(failed("mkfs.ext4", device, &said)) }
    }

    /// Lets an ext4 that is not mounted fill its device, which takes a whole check before. Only where the kernel does not
    /// do it: a power cut in the middle of that does more harm.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub async fn grow_unmounted(&self, device: &Path) -> Result<(), VolumeError> {
        self.checked(["-f", "-p"], device).await?;
        self.grow(device).await
    }

    /// Checks an ext4 and mends what can be mended without a question. Says whether something was.
    ///
    /// # Errors
    /// [`VolumeError::Damaged`].
    pub async fn check(&self, device: &Path) -> Result<bool, VolumeError> {
        self.checked(["-p"], device).await
    }

    async fn checked<const N: usize>(&self, options: [&str; N], device: &Path) -> Result<bool, VolumeError> {
        let args = options.map(OsStr::new).into_iter().chain([device.as_os_str()]);
        let said = tool(&self.e2fsck, args).await?;
        match said.code {
            Some(code @ 0..=MENDED) => Ok(code == MENDED),
            code => Err(VolumeError::Damaged {
                device: device.to_owned(),
                code: code.unwrap_or(-1),
                said: words(&said.output),
            }),
        }
    }

    /// Lets an ext4 fill its device, while it is mounted if it is.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub async fn grow(&self, device: &Path) -> Result<(), VolumeError> {
        let said = tool(&self.resize, [device.as_os_str()]).await?;
        if said.code == Some(0) { Ok(()) } else { Err(failed("resize2fs", device, &said)) }
    }

    /// Makes a directory immutable, or takes that back. Nothing can be made in it then, not even by root.
    ///
    /// # Errors
    /// [`VolumeError`], where the file system has no such thing.
    pub async fn immutable(&self, directory: &Path, on: bool) -> Result<(), VolumeError> {
        let flag = OsStr::new(if on { "+i" } else { "-i" });
        let said = tool(&self.chattr, [flag, OsStr::new("--"), directory.as_os_str()]).await?;
        if said.code == Some(0) { Ok(()) } else { Err(failed("chattr", directory, &said)) }
    }
}

async fn tool<I, S>(program: &Path, args: I) -> Result<Said, VolumeError>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let start = |source: io::Error| VolumeError::ToolNotStarted { program: program.to_owned(), source };
    run(&Invocation::new(program, args)).await.map_err(start)
}

fn failed(program: &'static str, path: &Path, said: &Said) -> VolumeError {
    let said = if said.complaint.trim().is_empty() { words(&said.output) } else { words(&said.complaint) };
    VolumeError::ToolFailed { program, path: path.to_owned(), said }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_WORDS).collect()
}
