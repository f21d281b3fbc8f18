//! TensorBoard's event files: a length-prefixed, checksummed record per step, each a protocol buffer of tagged numbers.
//!
//! Format: TensorFlow's `record_writer` (TFRecord) around `event.proto` and `summary.proto`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

use crate::error::{Result, StageError};

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// Appends to an event file of its own.
pub struct EventWriter {
    path: PathBuf,
    file: File,
}

impl EventWriter {
    /// Starts a file in a folder, which is made if it is not there; `now` in seconds since 1970 names it.
    ///
    /// # Errors
    /// The folder or the file can't be written.
    pub fn create(folder: &Path, now: f64, run: &str) -> Result<Self> {
        let path = folder.join(format!("events.out.tfevents.{:010}.{run}", now as u64));
        std::fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))?;
        let file = File::create(&path).map_err(|source| cannot_write(&path, source))?;
        let mut writer = EventWriter { path, file };
        let version = Some("brain.Event:2".to_owned());
        writer.append(&Event { wall_time: now, step: 0, file_version: version, summary: None })?;
        Ok(writer)
    }

    /// Appends the numbers of a step; those that are `None` are left out.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn scalars(&mut self, now: f64, step: u64, numbers: &[(&str, Option<f64>)]) -> Result<()> {
        let scalar = |(tag, number): &(&str, Option<f64>)| {
            Some(Scalar { tag: (*tag).to_owned(), simple_value: (*number)? as f32 })
        };
        let value = numbers.iter().filter_map(scalar).collect();
        self.append(&Event { wall_time: now, step: step as i64, file_version: None, summary: Some(Summary { value }) })
    }

    fn append(&mut self, event: &Event) -> Result<()> {
        // In one piece: TensorBoard reads while we write.
        self.file.write_all(&record(&event.encode_to_vec())).map_err(|source| cannot_write(&self.path, source))
    }
}

/// Length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut bytes = Vec::with_capacity(data.len() + 16);
    bytes.extend(length);
    bytes.extend(masked_checksum(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(masked_checksum(data).to_le_bytes());
    bytes
}

/// CRC-32C, rotated and shifted as TFRecord wants it, so that a checksum of data with checksums in it stays good.
fn masked_checksum(data: &[u8]) -> u32 {
    const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CASTAGNOLI.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn cannot_write(path: &Path, source: std::io::Error) -> StageError {
    StageError::Write { file: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_read_back_and_carry_their_checksums() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(&folder.path().join("events"), 1.5e9, "run").unwrap();
        writer.scalars(1.5e9 + 1.0, 7, &[("train/loss", Some(0.5)), ("held_out/loss", None)]).unwrap();
        let bytes = std::fs::read(&writer.path).unwrap();
        let mut rest = bytes.as_slice();
        let mut events = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            assert_eq!(rest[..12 + length + 4], record(data));
            events.push(Event::decode(data).unwrap());
            rest = &rest[16 + length..];
        }
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        let value = Scalar { tag: "train/loss".to_owned(), simple_value: 0.5 };
        assert_eq!((events[1].step, &events[1].summary.as_ref().unwrap().value), (7, &vec![value]));
    }

    #[test]
    fn the_checksum_is_masked_crc_32c() {
        // CRC-32C of "123456789" is e3069283 (RFC 3720, appendix B.4 names the polynomial).
        assert_eq!(masked_checksum(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
