import dayjs from 'dayjs';
import { atSite } from '../format';

/** What a date picker must show for an instant: the site's wall clock. */
export const siteWallClock = (instant: string | Date | number) => dayjs(atSite(instant));
