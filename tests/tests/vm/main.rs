//! Boxes with a kernel of their own, in QEMU. These need root and minutes.

mod image;
mod memory;
