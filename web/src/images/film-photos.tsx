// 翻拍胶片: photos of film, for orientation only. Each carries its mark wherever it is shown, also over the picture itself.
import { CameraOutlined, WarningOutlined } from '@ant-design/icons';
import { Modal } from 'antd';
import { useState } from 'react';
import { callJson } from '../fhir';
import type { Media } from '../fhir-types';
import { formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { smallerPicture } from '../parts/picture';

const SIDE_MAX = 3_000;

/** The server files it as a Media of the patient and marks it. */
export async function addFilmPhoto(patientId: string, file: File): Promise<Media> {
  const picture = await smallerPicture(file, SIDE_MAX, 0.9);
  if (!picture) throw new Error('no picture');
  return callJson<Media>(`/photos?patient=${encodeURIComponent(`Patient/${patientId}`)}`, { method: 'POST', body: picture, headers: { 'Content-Type': 'image/jpeg' } });
}

export const isFilmPhoto = (media: Media) => media.type?.coding?.some((coding) => coding.code === 'film-photo') ?? false;

interface FilmPhotosProps {
  photos: Media[];
  /** What stands under a picture, for example a tick. */
  below?: (photo: Media) => React.ReactNode;
}

export function FilmPhotos({ photos, below }: FilmPhotosProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const [open, setOpen] = useState<Media>();
  if (photos.length === 0) return null;
  return (
    <section className="film" aria-label={t('film.title')}>
      <p className="film-mark"><WarningOutlined aria-hidden /> {t('film.mark')}</p>
      <ul>
        {photos.map((photo) => (
          <li key={photo.id}>
            <button type="button" className="film-photo" onClick={() => setOpen(photo)} aria-label={t('film.open', { time: formatTime(photo.createdDateTime, language) })}>
              <img src={`/photos/${photo.id ?? ''}`} alt="" loading="lazy" />
              <span className="film-over" aria-hidden>{t('film.short')}</span>
            </button>
            <span className="cell-sub"><CameraOutlined aria-hidden /> {formatTime(photo.createdDateTime, language)}</span>
            {below?.(photo)}
          </li>
        ))}
      </ul>
      <Modal open={open !== undefined} onCancel={() => setOpen(undefined)} footer={null} width="min(1100px, 96vw)" title={t('film.mark')} destroyOnHidden>
        {open ? (
          <div className="film-large">
            <img src={`/photos/${open.id ?? ''}`} alt={t('film.open', { time: formatTime(open.createdDateTime, language) })} />
            <span className="film-over" aria-hidden>{t('film.mark')}</span>
          </div>
        ) : null}
      </Modal>
    </section>
  );
}
