// Above the images while a session runs: who is there, who shows his images, and whether one goes along.
import { AimOutlined, EyeOutlined, TeamOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import { useTranslation } from '../i18n';
import { staysOf } from './presence';
import type { Presenting } from './presenting';

export function SessionStrip({ consult, inside, presenting }: { consult: Consult; inside: boolean; presenting: Presenting }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const { other, showing, following, show, follow } = presenting;
  const names = [...new Set(staysOf(consult).filter((stay) => !stay.end).map((stay) => directory.postName(stay.who)))];
  return (
    <section className={`session-strip ${showing || other ? 'session-strip-on' : ''}`} aria-label={t('session.title')}>
      <span><TeamOutlined aria-hidden /> {names.length > 0 ? t('session.here', { n: names.length, names: names.join(t('common.listMark')) }) : t('session.nobody')}</span>
      <span className="session-show" role="status">
        {showing ? t('session.showing') : other ? t(following ? 'session.following' : 'session.other', { who: directory.postName({ reference: other.speaker }) }) : ''}
      </span>
      {other ? (
        <Button size="small" type={following ? 'default' : 'primary'} icon={<AimOutlined />} data-action="follow" aria-pressed={following} onClick={() => follow(!following)}>
          {t(following ? 'session.alone' : 'session.follow')}
        </Button>
      ) : null}
      {inside ? (
        <Button size="small" type={showing ? 'primary' : 'default'} icon={<EyeOutlined />} data-action="show" aria-pressed={showing} onClick={() => show(!showing)}>
          {t(showing ? 'session.stop' : 'session.show')}
        </Button>
      ) : null}
    </section>
  );
}
