// Times, ages and numbers as people here write them. Clinical time is always that of the site (+08:00), whatever the
// clock zone of the computer in front of the reader.
export type Language = 'zh' | 'en';
const SITE_OFFSET_MS = 8 * 3_600_000;
const DAY_MS = 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The site's wall clock at an instant, YYYY-MM-DDTHH:mm:ss; nothing where there is no such instant. */
export function atSite(instant: string | number | Date): string | undefined {
  const time = new Date(instant).getTime();
  return Number.isFinite(time) ? new Date(time + SITE_OFFSET_MS).toISOString().slice(0, 19) : undefined;
}

const dateOf = (clock: string | undefined) => clock?.slice(0, 10) ?? '';
const timeOf = (clock: string | undefined) => clock?.slice(11, 16) ?? '';

/** 2月16日 14:05; with the year when it is another one. */
export function formatTime(instant: string | undefined, language: Language, now: Date = new Date()): string {
  if (!instant) return '';
  if (/^\d{4}(-\d{2}(-\d{2})?)?$/.test(instant)) return formatDate(instant, language, now);
  const clock = atSite(instant);
  return clock ? `${formatDate(dateOf(clock), language, now)} ${timeOf(clock)}` : '';
}

export function formatDate(date: string | undefined, language: Language, now: Date = new Date()): string {
  const [year, month, day] = (date ?? '').split('-').map(Number);
  if (!year) return '';
  const sameYear = year === Number(siteToday(now).slice(0, 4));
  if (!month) return language === 'zh' ? `${year}年` : `${year}`;
  if (language === 'zh') return `${sameYear && day ? '' : `${year}年`}${month}月${day ? `${day}日` : ''}`;
  return `${day ? `${day} ` : ''}${MONTHS[month - 1] ?? ''}${sameYear && day ? '' : ` ${year}`}`;
}

/** Today only the clock, else with the date: for lines that are read at a glance. */
export function formatShort(instant: string | undefined, language: Language, now: Date = new Date()): string {
  if (!instant) return '';
  return siteToday(now) === dateOf(atSite(instant)) ? formatClock(instant) : formatTime(instant, language, now);
}

export function formatClock(instant: string | undefined): string {
  return instant ? timeOf(atSite(instant)) : '';
}

/** Today's date at the site, YYYY-MM-DD. */
export function siteToday(now: Date = new Date()): string {
  return dateOf(atSite(now));
}

/** The wall-clock time that a date picker shows, read as time of the site. */
export function siteInstant(picked: { format: (pattern: string) => string }): string {
  return `${picked.format('YYYY-MM-DDTHH:mm')}:00+08:00`;
}

/** 45 分钟, 3 小时 20 分, 2 天 4 小时. */
export function formatDuration(milliseconds: number, language: Language): string {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  const zh = language === 'zh';
  if (minutes < 60) return zh ? `${minutes} 分钟` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    const rest = minutes % 60;
    if (rest === 0) return zh ? `${hours} 小时` : `${hours} h`;
    return zh ? `${hours} 小时 ${rest} 分` : `${hours} h ${rest} min`;
  }
  const days = Math.floor(hours / 24);
  const restHours = hours % 24;
  if (restHours === 0) return zh ? `${days} 天` : `${days} d`;
  return zh ? `${days} 天 ${restHours} 小时` : `${days} d ${restHours} h`;
}

/** 14:05, 1:02:07: what is left, to the second, never less than 0:00. */
export function formatCountdown(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (part: number) => String(part).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${hours > 0 ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** Age in the unit that a ward uses: days for the newborn, months under three years, then years. */
export function formatAge(birthDate: string | undefined, language: Language, on: Date = new Date()): string {
  if (!birthDate || !/^\d{4}(-\d{2}){0,2}$/.test(birthDate)) return '';
  const zh = language === 'zh';
  const [bornYear = 0, bornMonth = 1, bornDay = 1] = birthDate.split('-').map(Number);
  const [year = 0, month = 0, day = 0] = siteToday(on).split('-').map(Number);
  const months = (year - bornYear) * 12 + month - bornMonth - (day < bornDay ? 1 : 0);
  const years = Math.floor(months / 12);
  if (years < 0) return '';
  if (years >= 3 || birthDate.length === 4) return zh ? `${years}岁` : `${years} y`;
  if (months >= 1) return zh ? `${months}个月` : `${months} mo`;
  const days = Math.round((Date.UTC(year, month - 1, day) - Date.UTC(bornYear, bornMonth - 1, bornDay)) / DAY_MS);
  return zh ? `${days}天` : `${days} d`;
}

/** A percentage with one decimal, as the reports write it; the sign is part of the number. */
export function formatPercent(value: number | undefined): string {
  return value === undefined ? '—' : `${value.toFixed(1)}%`;
}

export function formatNumber(value: number | null | undefined, digits = 1): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '—';
  const text = Number.isInteger(value) ? String(value) : value.toFixed(digits);
  const [whole = '', fraction] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction ? `${grouped}.${fraction}` : grouped;
}

/** With exactly so many digits behind the point: 0.0 is a measured 0, not a rounded word. */
export function formatFixed(value: number | null | undefined, digits: number): string {
  if (value === undefined || value === null || Number.isNaN(value)) return '—';
  const [whole = '', fraction] = value.toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction ? `${grouped}.${fraction}` : grouped;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024 * 1024) return `${Math.max(1, Math.round(bytes / 1024))} kB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
