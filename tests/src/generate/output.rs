//! Where records go: files, compressed or not, or one archive.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// `.zst`.
    Zstd,
    /// `.gz`.
    Gzip,
}

impl Compression {
    fn ending(self) -> &'static str {
        match self {
            Compression::Zstd => ".zst",
            Compression::Gzip => ".gz",
        }
    }
}

/// A file, compressed on the way.
pub enum Compressed {
    /// As it is.
    Plain(BufWriter<File>),
    /// One frame of zstd.
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    /// One member of gzip.
    Gzip(GzEncoder<BufWriter<File>>),
}

impl Compressed {
    /// Creates a file, its folders and the ending of its compression included.
    fn create(path: &Path, compression: Option<Compression>) -> io::Result<Compressed> {
        let path = match compression {
            Some(compression) => PathBuf::from(format!("{}{}", path.display(), compression.ending())),
            None => path.to_path_buf(),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = BufWriter::with_capacity(1 << 20, File::create(&path)?);
        Ok(match compression {
            None => Compressed::Plain(file),
            Some(Compression::Zstd) => Compressed::Zstd(zstd::Encoder::new(file, 1)?),
            Some(Compression::Gzip) => Compressed::Gzip(GzEncoder::new(file, flate2::Compression::fast())),
        })
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Compressed::Plain(file) => file,
            Compressed::Zstd(encoder) => encoder.finish()?,
            Compressed::Gzip(encoder) => encoder.finish()?,
        }
        .flush()
    }
}

impl Write for Compressed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Compressed::Plain(file) => file.write(bytes),
            Compressed::Zstd(encoder) => encoder.write(bytes),
            Compressed::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Compressed::Plain(file) => file.flush(),
            Compressed::Zstd(encoder) => encoder.flush(),
            Compressed::Gzip(encoder) => encoder.flush(),
        }
    }
}

/// A folder that files are written to one after the other.
pub struct Output {
    folder: PathBuf,
    compression: Option<Compression>,
    archive: Option<tar::Builder<Compressed>>,
    file: Option<Compressed>,
    /// Files written, an archive being one.
    pub files: u64,
    /// Bytes written, before compression and without an archive's headers.
    pub bytes: u64,
}

impl Output {
    /// Starts in a folder; where `archive` is named, what would be small files becomes its entries when it is compressed.
    ///
    /// # Errors
    /// If the archive cannot be created.
    pub fn new(folder: &Path, archive: Option<&str>, compression: Option<Compression>) -> io::Result<Output> {
        let archive = match archive.filter(|_| compression.is_some()) {
            Some(name) => Some(tar::Builder::new(Compressed::create(&folder.join(name), compression)?)),
            None => None,
        };
        let files = u64::from(archive.is_some());
        Ok(Output { folder: folder.to_path_buf(), compression, archive, file: None, files, bytes: 0 })
    }

    /// Begins a file that [`Output::append`] writes to.
    ///
    /// # Errors
    /// If the file before cannot be finished or this one not created.
    pub fn begin(&mut self, path: &str) -> io::Result<()> {
        self.end()?;
        self.file = Some(Compressed::create(&self.folder.join(path), self.compression)?);
        self.files += 1;
        Ok(())
    }

    /// Appends to the file that was begun.
    ///
    /// # Errors
    /// If it cannot be written, or none was begun.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("no file was begun"))?;
        file.write_all(bytes)
    }

    /// Writes a whole small file, or an entry of the archive.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn whole(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let Some(archive) = &mut self.archive else {
            self.begin(path)?;
            return self.append(bytes);
        };
        self.bytes += bytes.len() as u64;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, bytes)
    }

    fn end(&mut self) -> io::Result<()> {
        self.file.take().map_or(Ok(()), Compressed::finish)
    }

    /// Finishes the last file and the archive.
    ///
    /// # Errors
    /// If they cannot be written to the end.
    pub fn finish(&mut self) -> io::Result<()> {
        self.end()?;
        self.archive.take().map_or(Ok(()), |archive| archive.into_inner()?.finish())
    }
}
