//! Amounts that are counted and not yet written, in words of memory that all processes share and that start as zero. Pure:
//! each function says which lock its caller holds. Amounts are added under the shared one, so that nobody waits for another.

use crate::rbac::Id;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Words of a key: the database and the length of the name, the tenant, and the meter's name.
const KEY: usize = 16;
const NAME_BYTES: usize = (KEY - 3) * 8;
/// A key, the amount, and for how many turns it has been nothing.
const ENTRY: usize = KEY + 2;
const AMOUNT: usize = KEY;
const IDLE: usize = KEY + 1;
/// How many entries there are, how many counts were dropped, whether that was told, and whether a missing worker was.
const HEADER: usize = 4;

/// What an amount may come to: what a bigint holds.
const MOST: u64 = i64::MAX as u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u64; KEY]);

impl Key {
    /// `None` for a name that no meter can have.
    pub fn new(database: u32, tenant: &Id, meter: &str) -> Option<Self> {
        let mut words = [0; KEY];
        let length = u32::try_from(meter.len()).ok().filter(|length| *length as usize <= NAME_BYTES)?;
        let bytes = tenant.chunks(8).chain(meter.as_bytes().chunks(8));
        words[0] = u64::from(database) | (u64::from(length) << 32);
        for (word, bytes) in words.iter_mut().skip(1).zip(bytes) {
            let mut whole = [0; 8];
            whole.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            *word = u64::from_le_bytes(whole);
        }
        (database != 0).then_some(Self(words))
    }

    pub fn database(&self) -> u32 {
        self.0[0] as u32
    }

    pub fn tenant(&self) -> Id {
        let mut tenant = [0; 16];
        tenant.iter_mut().zip(self.bytes(1)).for_each(|(to, from)| *to = from);
        tenant
    }

    pub fn meter(&self) -> String {
        let length = (self.0[0] >> 32) as usize;
        String::from_utf8_lossy(&self.bytes(3).take(length).collect::<Vec<u8>>()).into_owned()
    }

    fn bytes(&self, from: usize) -> impl Iterator<Item = u8> {
        self.0.iter().skip(from).flat_map(|word| word.to_le_bytes())
    }

    fn hash(&self) -> u64 {
        let step = |hash: u64, word: &u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        let hash = self.0.iter().fold(0, step);
        (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What came of adding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    Done,
    /// There is no entry of the key yet.
    Absent,
    /// There is none, and no room for one.
    Full,
    /// More than a bigint holds.
    TooMuch,
}

/// Open addressing with linear probing; removal closes the gap.
pub struct Table<'m> {
    header: &'m [AtomicU64],
    entries: &'m [AtomicU64],
    capacity: usize,
}

/// Places for so many entries: a third more, so that a search is short.
fn places(capacity: usize) -> usize {
    capacity + capacity / 3 + 1
}

impl<'m> Table<'m> {
    /// How many words so many entries take.
    pub fn words(capacity: usize) -> usize {
        HEADER + places(capacity) * ENTRY
    }

    /// `None` if there are fewer words than that.
    pub fn new(words: &'m [AtomicU64], capacity: usize) -> Option<Self> {
        let (header, entries) = words.split_at_checked(HEADER)?;
        Some(Self { header, entries: entries.get(..places(capacity) * ENTRY)?, capacity })
    }

    fn entry(&self, place: usize) -> &'m [AtomicU64] {
        &self.entries[place * ENTRY..][..ENTRY]
    }

    fn is_free(&self, place: usize) -> bool {
        self.entry(place)[0].load(Relaxed) == 0
    }

    fn key_at(&self, place: usize) -> Key {
        Key(std::array::from_fn(|word| self.entry(place)[word].load(Relaxed)))
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) % self.places()
    }

    fn home(&self, key: &Key) -> usize {
        ((u128::from(key.hash()) * self.places() as u128) >> 64) as usize
    }

    /// Where the key is, or else the free place to put it. There is always a free one.
    fn find(&self, key: &Key) -> Result<usize, usize> {
        let mut place = self.home(key);
        loop {
            let entry = self.entry(place);
            if entry[0].load(Relaxed) == 0 {
                return Err(place);
            }
            if key.0.iter().zip(entry).all(|(word, stored)| stored.load(Relaxed) == *word) {
                return Ok(place);
            }
            place = self.next(place);
        }
    }

    /// Under either lock.
    pub fn add(&self, key: &Key, amount: u64) -> Added {
        let Ok(place) = self.find(key) else { return Added::Absent };
        let more = |old: u64| old.checked_add(amount).filter(|sum| *sum <= MOST);
        match self.entry(place)[AMOUNT].fetch_update(Relaxed, Relaxed, more) {
            Ok(_) => Added::Done,
            Err(_) => Added::TooMuch,
        }
    }

    /// Under the exclusive lock.
    pub fn insert(&self, key: &Key, amount: u64) -> Added {
        let place = match self.find(key) {
            Ok(_) => return self.add(key, amount),
            Err(_) if amount > MOST => return Added::TooMuch,
            Err(_) if self.used() >= self.capacity => return Added::Full,
            Err(place) => place,
        };
        let entry = self.entry(place);
        entry.iter().zip(key.0).for_each(|(to, word)| to.store(word, Relaxed));
        entry[AMOUNT].store(amount, Relaxed);
        entry[IDLE].store(0, Relaxed);
        self.header[0].fetch_add(1, Relaxed);
        Added::Done
    }

    /// What is counted of a key and not written. Under either lock.
    pub fn amount(&self, key: &Key) -> u64 {
        self.find(key).map_or(0, |place| self.entry(place)[AMOUNT].load(Relaxed))
    }

    /// Takes off what has been written. Under either lock.
    pub fn subtract(&self, key: &Key, amount: u64) {
        if let Ok(place) = self.find(key) {
            let less = |old: u64| Some(old.saturating_sub(amount));
            let _ = self.entry(place)[AMOUNT].fetch_update(Relaxed, Relaxed, less);
        }
    }

    /// Every entry of a database with its amount; nothing is changed but for how many turns it has been nothing. Under
    /// either lock, by the one worker of that database.
    pub fn turn(&self, database: u32, mut each: impl FnMut(Key, u64)) {
        for place in self.places_of(database) {
            let entry = self.entry(place);
            let amount = entry[AMOUNT].load(Relaxed);
            match amount {
                0 => entry[IDLE].fetch_add(1, Relaxed),
                _ => entry[IDLE].swap(0, Relaxed),
            };
            each(self.key_at(place), amount);
        }
    }

    /// The sum of a database's amounts. Under either lock.
    pub fn sum(&self, database: u32) -> u64 {
        let amounts = self.places_of(database).map(|place| self.entry(place)[AMOUNT].load(Relaxed));
        amounts.fold(0, u64::saturating_add)
    }

    /// Whether any entry of a database has been nothing for so many turns. Under either lock.
    pub fn is_due(&self, database: u32, turns: u64) -> bool {
        self.places_of(database).any(|place| self.is_idle(place, turns))
    }

    fn is_idle(&self, place: usize, turns: u64) -> bool {
        let entry = self.entry(place);
        entry[AMOUNT].load(Relaxed) == 0 && entry[IDLE].load(Relaxed) >= turns
    }

    /// Frees those in some of the places. Under the exclusive lock, which nobody has to hold for all of them.
    pub fn sweep(&self, database: u32, turns: u64, among: Range<usize>) {
        self.remove(database, among, |place| self.is_idle(place, turns));
    }

    /// Frees all entries of a database, whatever they hold, which is lost. Under the exclusive lock.
    pub fn discard(&self, database: u32) {
        self.remove(database, 0..self.places(), |_| true);
    }

    /// The databases that have entries. Under either lock.
    pub fn databases(&self) -> Vec<u32> {
        let taken = (0..self.places()).filter(|place| !self.is_free(*place));
        let mut found: Vec<u32> = taken.map(|place| self.key_at(place).database()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub fn places(&self) -> usize {
        places(self.capacity)
    }

    fn places_of(&self, database: u32) -> impl Iterator<Item = usize> {
        (0..self.places()).filter(move |place| self.is_of(*place, database))
    }

    fn is_of(&self, place: usize, database: u32) -> bool {
        self.entry(place)[0].load(Relaxed) as u32 == database && !self.is_free(place)
    }

    fn remove(&self, database: u32, among: Range<usize>, chosen: impl Fn(usize) -> bool) {
        let mut place = among.start;
        while place < among.end.min(self.places()) {
            // Closing a gap brings into it, or behind it, what lay behind it, or at the start and has been looked at.
            match self.is_of(place, database) && chosen(place) {
                true => self.remove_at(place),
                false => place += 1,
            }
        }
    }

    fn remove_at(&self, mut gap: usize) {
        let mut place = self.next(gap);
        while !self.is_free(place) {
            let home = self.home(&self.key_at(place));
            // Whether the search for this key passes over the gap.
            let passes = match gap <= place {
                true => home <= gap || home > place,
                false => home <= gap && home > place,
            };
            if passes {
                self.entry(gap)
                    .iter()
                    .zip(self.entry(place))
                    .for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
                gap = place;
            }
            place = self.next(place);
        }
        self.entry(gap).iter().for_each(|word| word.store(0, Relaxed));
        self.header[0].fetch_sub(1, Relaxed);
    }

    pub fn used(&self) -> usize {
        self.header[0].load(Relaxed) as usize
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// A count could not be kept.
    pub fn drop_one(&self) {
        self.header[1].fetch_add(1, Relaxed);
    }

    pub fn dropped(&self) -> u64 {
        self.header[1].load(Relaxed)
    }

    /// Whether some were dropped, and whoever asks is the first to say so.
    pub fn shall_tell(&self) -> bool {
        self.dropped() > 0 && self.header[2].swap(1, Relaxed) == 0
    }

    /// Whether whoever asks is the first to say that no worker could be started.
    pub fn shall_complain(&self) -> bool {
        self.header[3].swap(1, Relaxed) == 0
    }
}
