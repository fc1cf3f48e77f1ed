// What is half written is not lost by a click beside: leaving is asked about, closing the window too.
import { Modal } from 'antd';
import { useEffect } from 'react';
import { useBlocker } from 'react-router';
import { useTranslation } from '../i18n';

/** Fields that keep their text in the page only say so by `data-unsaved`. One guard a page: the router knows one. */
export const hasUnsaved = () => document.querySelector('[data-unsaved=true]') !== null;

export function LeaveGuard({ isDirty, title }: { isDirty: () => boolean; title?: string }) {
  const { t } = useTranslation();
  const blocker = useBlocker(({ currentLocation, nextLocation }) => currentLocation.pathname !== nextLocation.pathname && isDirty());
  useEffect(() => {
    const ask = (event: BeforeUnloadEvent) => {
      if (isDirty()) event.preventDefault();
    };
    window.addEventListener('beforeunload', ask);
    return () => window.removeEventListener('beforeunload', ask);
  }, [isDirty]);
  return (
    <Modal open={blocker.state === 'blocked'} title={title ?? t('request.leaveTitle')} okText={t('request.leaveStay')} cancelText={t('request.leaveGo')}
      onOk={() => blocker.reset?.()} onCancel={() => blocker.proceed?.()} closable={false} keyboard={false} mask={{ closable: false }}>
      <p>{t('request.leaveHelp')}</p>
    </Modal>
  );
}
