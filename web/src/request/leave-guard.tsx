// A half-written request is not lost by a click beside: leaving is asked about, closing the window too.
import { Modal } from 'antd';
import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useBlocker } from 'react-router';

export function LeaveGuard({ isDirty }: { isDirty: () => boolean }) {
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
    <Modal open={blocker.state === 'blocked'} title={t('request.leaveTitle')} okText={t('request.leaveStay')} cancelText={t('request.leaveGo')}
      onOk={() => blocker.reset?.()} onCancel={() => blocker.proceed?.()} closable={false} keyboard={false} mask={{ closable: false }}>
      <p>{t('request.leaveHelp')}</p>
    </Modal>
  );
}
