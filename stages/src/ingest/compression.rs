//! Compressed raw files: what their names say, and how they are read.

use std::io::{self, BufRead, BufReader};

use flate2::bufread::MultiGzDecoder;

/// Bytes that are decompressed at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A frame of zstd may ask for this much memory, as a power of two: 128 MiB, the most that `zstd --long` writes without being told.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The compressions a raw file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// Endings of names, and how much of each says nothing but that the file is compressed.
    const ENDINGS: [(&'static str, Compression, &'static str); 4] = [
        (".gz", Compression::Gzip, ".gz"),
        (".zst", Compression::Zstd, ".zst"),
        (".zstd", Compression::Zstd, ".zstd"),
        // It says too that the file is an archive.
        (".tgz", Compression::Gzip, ""),
    ];

    fn of(name: &str) -> Option<(Compression, &'static str)> {
        let found = Compression::ENDINGS.into_iter().find(|(ending, ..)| name.ends_with(ending))?;
        Some((found.1, found.2))
    }
}

/// Returns a file's name without the ending of its compression: what readers go by.
pub fn logical_name(name: &str) -> &str {
    Compression::of(name).and_then(|(_, ending)| name.strip_suffix(ending)).unwrap_or(name)
}

/// A stream, decompressed where the file's name says that it is compressed.
pub enum Decompressed<R> {
    /// As it is.
    Plain(R),
    /// One or more gzip members.
    Gzip(Box<BufReader<MultiGzDecoder<R>>>),
    /// One or more zstd frames.
    Zstd(Box<BufReader<zstd::Decoder<'static, R>>>),
}

impl<R: BufRead> Decompressed<R> {
    /// Wraps the bytes of the file of this name.
    pub fn new(name: &str, raw: R) -> io::Result<Self> {
        Ok(match Compression::of(name).map(|(compression, _)| compression) {
            None => Decompressed::Plain(raw),
            Some(Compression::Gzip) => {
                Decompressed::Gzip(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
            }
            Some(Compression::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(raw)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Decompressed::Zstd(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)))
            }
        })
    }

    /// The decompressed bytes.
    pub fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Decompressed::Plain(reader) => reader,
            Decompressed::Gzip(reader) => reader,
            Decompressed::Zstd(reader) => reader,
        }
    }

    /// Gives the compressed bytes back, from where decompression stopped.
    pub fn into_inner(self) -> R {
        match self {
            Decompressed::Plain(reader) => reader,
            Decompressed::Gzip(reader) => reader.into_inner().into_inner(),
            Decompressed::Zstd(reader) => reader.into_inner().finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn read(name: &str, bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        Decompressed::new(name, bytes)?.reader().read_to_string(&mut text)?;
        Ok(text)
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_name_decides_and_members_follow_each_other() {
        assert_eq!(read("a.jsonl", b"x").unwrap(), "x");
        assert_eq!(read("a.jsonl.gz", &[gzip("x"), gzip("y")].concat()).unwrap(), "xy");
        assert_eq!(read("a.tgz", &gzip("x")).unwrap(), "x");
        let frames = [zstd::encode_all(&b"x"[..], 1).unwrap(), zstd::encode_all(&b"y"[..], 1).unwrap()].concat();
        assert_eq!(read("a.csv.zst", &frames).unwrap(), "xy");
        assert_eq!(
            ["a.jsonl.gz", "a.csv.zst", "a.csv", "a.tgz"].map(logical_name),
            ["a.jsonl", "a.csv", "a.csv", "a.tgz"]
        );
    }

    #[test]
    fn a_truncated_file_is_an_error_and_no_end() {
        let whole = gzip(&"many words, again and again; ".repeat(1000));
        assert!(read("a.gz", &whole[..whole.len() / 2]).is_err());
        let whole = zstd::encode_all("many words, again and again; ".repeat(1000).as_bytes(), 1).unwrap();
        assert!(read("a.zst", &whole[..whole.len() / 2]).is_err());
        assert!(read("a.gz", b"no gzip at all").is_err());
    }
}
