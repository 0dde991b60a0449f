//! Says what to do when the web UI, which is embedded in the binary, has not been built yet, and has a release build laid out
//! by `hot.ld`, so that what a running gateway uses lies together. `scripts/layout` makes that file.

fn main() {
    println!("cargo::rerun-if-changed=web/dist");
    if !std::path::Path::new("web/dist/index.html").exists() {
        println!("cargo::error=the web UI is not built: run (cd gateway/web && npm ci && npm run build)");
    }
    println!("cargo::rerun-if-changed=hot.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if known && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/hot.ld", env!("CARGO_MANIFEST_DIR"));
        // The same relocations in a hundredth of the room, which the loader reads at each start. It needs glibc 2.36.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
