//! Has a release build laid out by `hot.ld`, so that what a running agent uses lies together. `scripts/layout` makes that file.

fn main() {
    println!("cargo::rerun-if-changed=hot.ld");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    let known = is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu");
    if known && is("PROFILE", "release") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}/hot.ld", env!("CARGO_MANIFEST_DIR"));
        // The same relocations in a hundredth of the room, which is read at each start. It needs glibc 2.36, the program's own
        // where it is linked statically.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
